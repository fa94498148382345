// mini-qmail: the administrator's command. Subcommands load when they run.

import { dirname, join, resolve } from 'node:path';
import { defineCommand, runCommand, runMain } from 'citty';
import { readInvocation } from '../host/invocation.ts';
import { reasonOf } from '../host/system-error.ts';

const VERSION = '0.1.0';

const invocation = readInvocation();

const homeArg = { type: 'string', description: 'folder of the installation', valueHint: 'DIR' } as const;

const hub = defineCommand({
  meta: { name: 'hub', description: 'run the central server' },
  args: {
    home: homeArg,
    qmqp: {
      type: 'string',
      description: 'where to take QMQP; port 0 picks one',
      valueHint: 'HOST:PORT',
      default: '127.0.0.1:628',
    },
  },
  async run({ args }) {
    checkWords(args, ['home', 'qmqp']);
    const { runHubCommand } = await import('../hub/hub-command.ts');
    await runHubCommand({ home: homeOf(args.home), qmqp: args.qmqp });
  },
});

const start = defineCommand({
  meta: { name: 'start', description: 'run a hub on this machine, ready to try' },
  args: { home: { ...homeArg, description: 'folder for its state (default: var beside bin)' } },
  async run({ args }) {
    checkWords(args, ['home']);
    const { runStart } = await import('../hub/start-command.ts');
    await runStart({
      home: resolve(args.home ?? join(dirname(invocation.ownBin), 'var')),
      sendmail: join(invocation.ownBin, 'sendmail'),
      version: VERSION,
    });
  },
});

const demo = defineCommand({
  meta: {
    name: 'demo',
    description: 'send one message through sendmail, hub and mailbox, and show each step',
  },
  async run({ args }) {
    checkWords(args, []);
    const { runDemo } = await import('../hub/demo-command.ts');
    process.exitCode = await runDemo({ sendmail: join(invocation.ownBin, 'sendmail') });
  },
});

const queueLs = defineCommand({
  meta: { name: 'ls', description: 'list what is queued' },
  args: { home: homeArg, json: { type: 'boolean', description: 'one JSON object per line and message' } },
  async run({ args }) {
    checkWords(args, ['home', 'json']);
    const { runQueueLs } = await import('../hub/queue-command.ts');
    process.exitCode = await runQueueLs({ home: homeOf(args.home), json: args.json === true });
  },
});

const queue = defineCommand({
  meta: { name: 'queue', description: 'look at the queue' },
  subCommands: { ls: queueLs },
});

const main = defineCommand({
  meta: {
    name: 'mini-qmail',
    version: VERSION,
    description: 'mail for machines that should not run a mail server',
  },
  subCommands: { hub, queue, start, demo },
});

/** The caller's mistake in the command line. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Refuses what the package lets pass: options that do not exist, options without their value, words too many. */
function checkWords({ _: words, ...options }: { _: string[] }, known: readonly string[]): void {
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) throw new UsageError(`Unknown option --${name}`);
    if (value === '') throw new UsageError(`Missing value for --${name}`);
  }
  if (words.length > 0) throw new UsageError(`Unexpected word ${words[0]}`);
}

function homeOf(given: string | undefined): string {
  return given === undefined ? invocation.home : resolve(given);
}

/** Exit codes as of all our programs: the caller is wrong, or the environment. */
const EXIT_USAGE = 100;
const EXIT_TEMPORARY = 111;

const rawArgs = [...invocation.args];
if (rawArgs.some((word) => ['--help', '-h', '--version', '-v'].includes(word)))
  await runMain(main, { rawArgs });
else {
  try {
    await runCommand(main, { rawArgs });
  } catch (error) {
    // The package calls its own complaints so: a command or an option that does not exist or lacks its value.
    const isUsage = error instanceof Error && ['CLIError', 'UsageError'].includes(error.name);
    const text = reasonOf(error);
    process.stderr.write(`mini-qmail: fatal: ${text}${isUsage ? '; see mini-qmail --help' : ''}\n`);
    process.exitCode = isUsage ? EXIT_USAGE : EXIT_TEMPORARY;
  }
}
