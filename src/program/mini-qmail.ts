// mini-qmail: the administrator's command. Subcommands load when they run.

import { dirname, join, resolve } from 'node:path';
import { defineCommand, parseArgs, runCommand, runMain } from 'citty';
import { defineDoctor } from '../doctor/doctor-words.ts';
import { readInvocation } from '../host/invocation.ts';
import { reasonOf } from '../host/system-error.ts';
import { checkWords, homeArg, UsageError, valuesOf } from '../hub/command-words.ts';
import { defineFlush } from '../hub/flush-words.ts';
import { defineIdentity } from '../hub/identity-words.ts';
import type { Action, Order } from '../hub/operator.ts';

const VERSION = '0.1.0';

const invocation = readInvocation();

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
    qmqps: {
      type: 'string',
      description: 'where to take QMQP by TLS only; port 0 picks one',
      valueHint: 'HOST:PORT',
    },
    smtp: {
      type: 'string',
      description: 'where to take SMTP; several with commas between',
      valueHint: 'HOST:PORT',
    },
    lmtp: {
      type: 'string',
      description: 'where to take LMTP; several with commas between',
      valueHint: 'HOST:PORT|unix:PATH',
    },
    'smtp-rules': {
      type: 'string',
      description: 'rules of tcprules for SMTP and LMTP (default: those of --rules)',
      valueHint: 'FILE',
    },
    check: {
      type: 'string',
      description: 'where to answer questions about recipients; port 0 picks one',
      valueHint: 'HOST:PORT',
    },
    log: { type: 'string', description: 'form of the log: text, json or qmail', valueHint: 'FORM' },
    rules: {
      type: 'string',
      description: 'rules of tcprules that say who may connect (default: control/qmqpclients)',
      valueHint: 'FILE',
    },
  },
  async run({ args }) {
    checkWords(args, ['home', 'qmqp', 'qmqps', 'smtp', 'lmtp', 'smtp-rules', 'check', 'rules', 'log']);
    const { runHubCommand } = await import('../hub/hub-command.ts');
    const { qmqp, qmqps, smtp, lmtp, 'smtp-rules': smtpRules, check, rules, log } = args;
    await runHubCommand({ home: homeOf(args.home), qmqp, qmqps, smtp, lmtp, smtpRules, check, rules, log });
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
  args: {
    home: homeArg,
    bounced: { type: 'boolean', description: 'list what has bounced and is kept' },
    json: { type: 'boolean', description: 'one JSON object per line and message' },
  },
  async run({ args }) {
    checkWords(args, ['home', 'json', 'bounced']);
    const { runQueueLs } = await import('../hub/queue-command.ts');
    const { home, json, bounced } = args;
    process.exitCode = await runQueueLs({
      ...{ home: homeOf(home), json: json === true, bounced: bounced === true },
    });
  },
});

const orderArgs = {
  home: homeArg,
  id: { type: 'string', description: 'number of a message; repeatable', valueHint: 'N' },
  sender: { type: 'string', description: 'messages from there; <> for bounces', valueHint: 'ADDRESS' },
  recipient: {
    type: 'string',
    description: 'messages with that recipient left, or one at that domain',
    valueHint: 'ADDRESS|@DOMAIN',
  },
  older: { type: 'string', description: 'messages accepted longer ago than that', valueHint: 'SECONDS' },
  all: { type: 'boolean', description: 'all messages' },
  'dry-run': { type: 'boolean', description: 'show which messages, change nothing' },
  json: { type: 'boolean', description: 'one JSON object per line and message, and one for the sum' },
} as const;

const rerouteArgs = {
  ...orderArgs,
  to: { type: 'string', description: 'relay to send them by, or mx', valueHint: 'HOST[:PORT]' },
  clear: { type: 'boolean', description: 'send them as control/smtproutes says again' },
} as const;

const resendArgs = {
  ...orderArgs,
  to: { type: 'string', description: 'recipient in place of those that failed', valueHint: 'ADDRESS' },
} as const;

interface OrderWords {
  readonly to?: string | undefined;
  readonly clear?: boolean | undefined;
}

/** @param readWords what else the order says */
function defineOrder(
  action: Action,
  description: string,
  argsDef: typeof orderArgs = orderArgs,
  readWords: (words: OrderWords) => Pick<Order, 'route' | 'to'> = () => ({}),
) {
  return defineCommand({
    meta: { name: action, description },
    args: argsDef,
    async run({ args, rawArgs }) {
      checkWords({ ...args, _: [] }, Object.keys(argsDef));
      const words = readWords(args as OrderWords);
      const ids = [...valuesOf(rawArgs, '--id'), ...args._].map(numberOf);
      const { sender, recipient, older } = args;
      const selection = {
        ...(ids.length > 0 && { ids }),
        ...{ sender, recipient, all: args.all === true },
        ...(older !== undefined && { olderSeconds: numberOf(older) }),
      };
      const { isSelective } = await import('../hub/selection.ts');
      if (!isSelective(selection)) throw new UsageError('Nothing selected: name messages, or give --all');
      const place = { home: homeOf(args.home), json: args.json === true };
      const { runOrder } = await import('../hub/order-command.ts');
      process.exitCode = await runOrder(place, {
        action,
        selection,
        dryRun: args['dry-run'] === true,
        ...words,
      });
    },
  });
}

function readRoute({ to, clear = false }: OrderWords): { route: string | undefined } {
  if ((to === undefined) !== clear) throw new UsageError('Give either --to or --clear');
  return { route: to === 'mx' ? '' : to && bytesAsText(to) };
}

/** A word of the command line as bytes, one character each. */
function bytesAsText(word: string): string {
  return Buffer.from(word).toString('latin1');
}

const oneArgs = {
  home: homeArg,
  json: { type: 'boolean', description: 'print JSON' },
  message: { description: 'number of the message', type: 'positional' },
} as const;

const queueShow = defineCommand({
  meta: { name: 'show', description: 'show one message: envelope, state of each recipient, next attempts' },
  args: oneArgs,
  async run({ args }) {
    checkWords({ ...args, _: args._.slice(1) }, Object.keys(oneArgs));
    const { runShow } = await import('../hub/order-command.ts');
    const place = { home: homeOf(args.home), json: args.json === true };
    process.exitCode = await runShow(place, numberOf(args.message));
  },
});

const queueCat = defineCommand({
  meta: { name: 'cat', description: 'print the bytes of a message' },
  args: { home: homeArg, message: oneArgs.message },
  async run({ args }) {
    checkWords({ ...args, _: args._.slice(1) }, ['home', 'message']);
    const { runCat } = await import('../hub/order-command.ts');
    process.exitCode = await runCat(homeOf(args.home), numberOf(args.message));
  },
});

const queueStats = defineCommand({
  meta: { name: 'stats', description: 'count messages and recipients' },
  args: { home: homeArg, json: oneArgs.json },
  async run({ args }) {
    checkWords(args, ['home', 'json']);
    const { runStats } = await import('../hub/order-command.ts');
    process.exitCode = await runStats({ home: homeOf(args.home), json: args.json === true });
  },
});

const queue = defineCommand({
  meta: { name: 'queue', description: 'look at the queue, and change what becomes of messages' },
  subCommands: {
    ls: queueLs,
    show: queueShow,
    cat: queueCat,
    stats: queueStats,
    hold: defineOrder('hold', 'keep messages from being delivered'),
    release: defineOrder('release', 'let messages go that are held'),
    retry: defineOrder('retry', 'try messages now that wait for a later attempt'),
    rm: defineOrder('rm', 'remove messages; their senders are not told'),
    bounce: defineOrder('bounce', 'give up on messages, and tell their senders'),
    reroute: defineOrder('reroute', 'send messages another way than the routes say', rerouteArgs, readRoute),
    resend: defineOrder('resend', 'queue anew what has bounced', resendArgs, ({ to }) => ({
      to: to && bytesAsText(to),
    })),
  },
});

const whyArgs = {
  home: homeArg,
  json: { type: 'boolean', description: 'one JSON object per line and message' },
  what: { description: 'number of a message, address or Message-ID', type: 'positional' },
} as const;

const why = defineCommand({
  meta: { name: 'why', description: 'say what happened to a message' },
  args: whyArgs,
  async run({ args }) {
    checkWords({ ...args, _: args._.slice(1) }, Object.keys(whyArgs));
    const { runWhy } = await import('../hub/why-command.ts');
    process.exitCode = await runWhy(homeOf(args.home), args.what ?? '', args.json === true);
  },
});

const dkimKeygenArgs = {
  home: homeArg,
  type: { type: 'string', description: 'rsa or ed25519', valueHint: 'TYPE', default: 'rsa' },
  domain: { description: 'domain that signs', type: 'positional' },
  selector: { description: 'name of the key', type: 'positional' },
} as const;

const dkimKeygen = defineCommand({
  meta: { name: 'keygen', description: 'make a key, and print the DNS record for it' },
  args: dkimKeygenArgs,
  async run({ args }) {
    checkWords({ ...args, _: args._.slice(2) }, Object.keys(dkimKeygenArgs));
    const { type, domain = '', selector = '' } = args;
    if (type !== 'rsa' && type !== 'ed25519') throw new UsageError(`Unknown type of key ${type}`);
    const { makeDkimKey } = await import('../hub/dkim-command.ts');
    process.stdout.write(makeDkimKey({ home: homeOf(args.home), domain, selector, type }));
  },
});

const dkimCheckArgs = { home: homeArg, domain: dkimKeygenArgs.domain } as const;

const dkimCheck = defineCommand({
  meta: { name: 'check', description: 'compare the keys of a domain with DNS' },
  args: dkimCheckArgs,
  async run({ args }) {
    checkWords({ ...args, _: args._.slice(1) }, Object.keys(dkimCheckArgs));
    const { runDkimCheck } = await import('../hub/dkim-command.ts');
    process.exitCode = await runDkimCheck(homeOf(args.home), args.domain ?? '');
  },
});

const dkim = defineCommand({
  meta: { name: 'dkim', description: 'keys that outgoing mail is signed with' },
  subCommands: { keygen: dkimKeygen, check: dkimCheck },
});

const setupArgs = {
  prefix: {
    type: 'string',
    description: 'folder of the installation (default /var/qmail)',
    valueHint: 'DIR',
  },
  root: { type: 'string', description: 'folder to put everything below, as with DESTDIR', valueHint: 'DIR' },
  force: { type: 'boolean', description: 'replace or remove what somebody else has changed or put there' },
  'dry-run': { type: 'boolean', description: 'print the plan only' },
} as const;

const installArgs = {
  role: { type: 'string', description: 'client, gateway, hub or list', valueHint: 'ROLE' },
  server: { type: 'string', description: 'a QMQP server; repeatable', valueHint: 'ADDRESS' },
  me: { type: 'string', description: 'name for control/me', valueHint: 'NAME' },
  idhost: { type: 'string', description: "this host's own name", valueHint: 'NAME' },
  'idhost-link': { type: 'string', description: 'file of each host for control/idhost', valueHint: 'FILE' },
  'idhost-only': { type: 'boolean', description: "write this host's own control/idhost, nothing else" },
  'from-server': { type: 'string', description: "the server's control files, to copy", valueHint: 'DIR' },
  'list-prefix': { type: 'string', description: 'second tree of a list host', valueHint: 'DIR' },
  sendmail: { type: 'boolean', description: 'let /usr/sbin/sendmail and /usr/lib/sendmail lead here' },
  node: { type: 'string', description: 'interpreter to use where it is', valueHint: 'FILE' },
  ...setupArgs,
} as const;

const install = defineCommand({
  meta: { name: 'install', description: 'lay out a client, gateway, hub or list host under a prefix' },
  args: installArgs,
  async run({ args, rawArgs }) {
    checkWords(args, Object.keys(installArgs));
    const { runInstall } = await import('../setup/install-command.ts');
    process.exitCode = runInstall({
      ...{ bundle: process.argv[1] ?? '', prefix: args.prefix, root: args.root, role: args.role },
      ...{ me: args.me, idhost: args.idhost, idhostLink: args['idhost-link'], node: args.node },
      ...{ fromServer: args['from-server'], listPrefix: args['list-prefix'] },
      ...{ force: args.force === true, dryRun: args['dry-run'] === true, sendmail: args.sendmail === true },
      idhostOnly: args['idhost-only'] === true,
      servers: valuesOf(rawArgs, '--server'),
    });
  },
});

const uninstall = defineCommand({
  meta: { name: 'uninstall', description: 'remove what install has made' },
  args: setupArgs,
  async run({ args }) {
    checkWords(args, Object.keys(setupArgs));
    const { runUninstall } = await import('../setup/install-command.ts');
    process.exitCode = runUninstall({
      ...{ bundle: process.argv[1] ?? '', prefix: args.prefix, root: args.root },
      ...{ force: args.force === true, dryRun: args['dry-run'] === true },
    });
  },
});

const explainArgs = {
  home: homeArg,
  json: { type: 'boolean', description: 'print JSON' },
  program: { description: 'sendmail or qmail-inject, then its arguments', type: 'positional' },
} as const;

const explain = defineCommand({
  meta: {
    name: 'explain',
    description: 'say what sendmail or qmail-inject would do with a message, and why; send nothing',
  },
  args: explainArgs,
});

/** Everything after the program's name is the program's, so the package must see only what stands before it. */
async function runExplainWords(): Promise<void> {
  const names = rawArgs.slice(1);
  const found = names.findIndex((word, i) => !word.startsWith('-') && names[i - 1] !== '--home');
  const at = found < 0 ? names.length : found;
  const args = parseArgs(names.slice(0, at), { home: homeArg, json: explainArgs.json });
  checkWords(args, ['home', 'json']);
  const program = names[at];
  if (program !== 'sendmail' && program !== 'qmail-inject') {
    const what = program === undefined ? 'No program' : `Unknown program ${program}`;
    throw new UsageError(`${what} to explain: give sendmail or qmail-inject, then its arguments`);
  }
  const { runExplain } = await import('../setup/explain-command.ts');
  const { home, json } = { home: homeOf(args['home']), json: args['json'] === true };
  process.exitCode = await runExplain({
    program,
    home,
    json,
    ownBin: invocation.ownBin,
    wordsBefore: at + 2,
  });
}

const importArgs = {
  from: { type: 'string', description: 'ssmtp, msmtp, nullmailer, dma or qmail', valueHint: 'KIND' },
  to: {
    type: 'string',
    description: 'control folder to write (default: of the installation)',
    valueHint: 'DIR',
  },
  root: setupArgs.root,
  write: { type: 'boolean', description: 'write the control files; without it they are shown only' },
  'dry-run': setupArgs['dry-run'],
  force: setupArgs.force,
  json: explainArgs.json,
  files: {
    description: 'files or folders; without any, the usual places',
    required: false,
    type: 'positional',
  },
} as const;

const imports = defineCommand({
  meta: {
    name: 'import',
    description: "read other mail clients' configuration, say and write what becomes of it",
  },
  args: importArgs,
  async run({ args }) {
    checkWords({ ...args, _: [] }, Object.keys(importArgs));
    const isWritten = args.write === true;
    if (isWritten && args['dry-run'] === true)
      throw new UsageError('--write and --dry-run contradict each other');
    const { runImport } = await import('../setup/import-command.ts');
    process.exitCode = runImport({
      paths: args._,
      from: args.from,
      to: args.to === undefined ? join(invocation.home, 'control') : resolve(args.to),
      root: args.root === undefined ? '' : resolve(args.root),
      ...{ write: isWritten, force: args.force === true, json: args.json === true },
    });
  },
});

const main = defineCommand({
  meta: {
    name: 'mini-qmail',
    version: VERSION,
    description: 'mail for machines that should not run a mail server',
  },
  subCommands: {
    hub,
    queue,
    why,
    dkim,
    identity: defineIdentity(homeOf),
    flush: defineFlush(homeOf),
    doctor: defineDoctor(homeOf, invocation.ownBin),
    start,
    demo,
    install,
    uninstall,
    explain,
    import: imports,
  },
});

function numberOf(word = ''): number {
  const value = Number(word);
  if (!/^\d+$/.test(word) || !Number.isSafeInteger(value)) throw new UsageError(`"${word}" is not a number`);
  return value;
}

function homeOf(given: string | undefined): string {
  return given === undefined ? invocation.home : resolve(given);
}

/** Exit codes as of all our programs: the caller is wrong, or the environment. */
const EXIT_USAGE = 100;
const EXIT_TEMPORARY = 111;

const rawArgs = [...invocation.args];
const isHelp = (word: string) => ['--help', '-h', '--version', '-v'].includes(word);
const isExplain = rawArgs[0] === 'explain' && !isHelp(rawArgs[1] ?? '');
if (!isExplain && rawArgs.some(isHelp)) await runMain(main, { rawArgs });
else {
  try {
    await (isExplain ? runExplainWords() : runCommand(main, { rawArgs }));
  } catch (error) {
    // The package calls its own complaints so: a command or an option that does not exist or lacks its value.
    const isUsage = error instanceof Error && ['CLIError', 'UsageError'].includes(error.name);
    const text = reasonOf(error);
    process.stderr.write(`mini-qmail: fatal: ${text}${isUsage ? '; see mini-qmail --help' : ''}\n`);
    process.exitCode = isUsage ? EXIT_USAGE : EXIT_TEMPORARY;
  }
}
