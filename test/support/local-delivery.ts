// Runs qmail-local for a user in a folder of its own, with a message on descriptor 0 and a recorder as queue program, and says what
// it left behind. Strings have one character for each byte.

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ended, prepareServerCase, type QueueBehaviour, type QueueRun, queuePids } from './server-vectors.ts';

/** A home directory before a delivery; modes are octal. */
export interface UserHome {
  readonly mode: string;
  readonly files: { readonly [name: string]: { readonly content: string; readonly mode: string } };
  readonly dirs: { readonly [name: string]: string };
}

/** A delivery to be made; `@HOME@` in the arguments is the home directory. */
export interface LocalCase {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
  readonly home: UserHome;
  readonly stdin: string;
  readonly stdin_kind: 'file' | 'pipe';
  readonly queue_behaviour: QueueBehaviour;
}

/** What became of it. */
export interface LocalRun {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Files of the home that are new or changed, without folders and pipes. */
  readonly files: { readonly [name: string]: string };
}

/** A vector. */
export interface LocalVector extends LocalCase {
  readonly expect: LocalRun & { readonly queue: readonly QueueRun[] };
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The home directory of a prepared case. */
export function homeOf(folder: string): string {
  return join(folder, 'user');
}

/** Makes the folder of a case: home, message, queue program. */
export function prepareLocalCase(delivery: LocalCase): string {
  const { env, stdin, queue_behaviour, name } = delivery;
  const nothing = { server: '', stderr: '', exit: 0, queue: [] };
  const folder = prepareServerCase('qmail-local', {
    name,
    env,
    queue_behaviour,
    client: stdin,
    expect: nothing,
  });
  const home = homeOf(folder);
  mkdirSync(home);
  for (const dir of Object.keys(delivery.home.dirs)) mkdirSync(join(home, dir), { recursive: true });
  for (const [file, { content, mode }] of Object.entries(delivery.home.files)) {
    writeFileSync(join(home, file), content, 'latin1');
    chmodSync(join(home, file), Number.parseInt(mode, 8));
  }
  for (const [dir, mode] of Object.entries(delivery.home.dirs)) {
    chmodSync(join(home, dir), Number.parseInt(mode, 8));
  }
  chmodSync(home, Number.parseInt(delivery.home.mode, 8));
  return folder;
}

/** What to do in the shell that the program comes from: commands once the message is open, words before the program's name. */
export interface LocalStart {
  readonly setup?: string;
  readonly prefix?: string;
}

/** Several may run in one folder at the same time. */
let callCount = 0;

/** Runs a prepared case. */
export async function runLocalCase(
  folder: string,
  delivery: LocalCase,
  { setup = '', prefix = '' }: LocalStart = {},
): Promise<LocalRun> {
  const home = homeOf(folder);
  const words = delivery.args.map((word) => quote(word.replaceAll('@HOME@', home)));
  const call = `${prefix} /bin/sh run ${words.join(' ')}`;
  const lines = delivery.stdin_kind === 'file' ? ['exec <client', setup, call] : [`cat client | ${call}`];
  const script = `call.${++callCount}`;
  writeFileSync(join(folder, script), lines.join('\n'), 'latin1');
  const before = readFiles(home);
  const child = spawn('/bin/sh', [script], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = await ended(child);
  const files = Object.entries(readFiles(home)).filter(([name, content]) => before[name] !== content);
  return { ...end, files: Object.fromEntries(files) };
}

function readFiles(folder: string): { [name: string]: string } {
  const names = readdirSync(folder, { recursive: true, encoding: 'latin1' });
  const files = names.filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'latin1')]));
}

const MOVING: { readonly [placeholder: string]: RegExp } = {
  '@TIME@.@PID@.@HOSTNAME@': new RegExp(`\\b\\d{10}\\.\\d+\\.${hostname().replaceAll('.', '\\.')}`, 'g'),
  '@CTIME@': /(?<=From \S+ )[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4}(?=\n)/g,
};

/** A run with placeholders for what differs from run to run. */
export function normalRun(folder: string, run: LocalRun): LocalRun {
  const replacements = Object.entries(MOVING);
  const normal = (text: string) =>
    replacements.reduce((all, [name, pattern]) => all.replace(pattern, name), text);
  const pids = queuePids(folder);
  const qp = (text: string) => text.replace(/(?<=\bqp )\d+$/gm, (pid) => (pids.includes(pid) ? '@QP@' : pid));
  const home = (text: string) => text.replaceAll(homeOf(folder), '@HOME@');
  const files = Object.entries(run.files).map(([name, text]) => [normal(name), home(normal(text))]);
  return {
    exit: run.exit,
    stdout: qp(run.stdout),
    stderr: qp(home(run.stderr)),
    files: Object.fromEntries(files),
  };
}
