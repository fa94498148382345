// Runs the golden vectors of servers that serve one connection on descriptors 0 and 1 (qmail-qmqpd, qmail-smtpd): the
// built program, with a recorder as queue program, its connection a pair of pipes, files, or a TCP socket as both
// descriptors, as under tcpserver.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCdb } from '../../src/core/format/cdb.ts';
import { parseQueueEnvelope } from '../../src/core/format/queue-envelope.ts';
import { ROOT } from './client-vectors.ts';

/** What the queue program was given in one run. */
export interface QueueRun {
  readonly complete?: boolean;
  readonly read?: false;
  readonly message?: string;
  readonly sender?: string;
  readonly recipients?: readonly string[];
}

/** How the queue program behaves. */
export interface QueueBehaviour {
  readonly exit?: number;
  readonly signal?: number;
  readonly fd6?: string;
  readonly noread?: boolean;
  readonly program_missing?: boolean;
}

/** One case; every character of a string is a byte. */
export interface ServerCase {
  readonly name: string;
  readonly control?: { readonly [name: string]: string };
  readonly env: { readonly [name: string]: string };
  readonly queue_behaviour?: QueueBehaviour;
  readonly client: string;
  readonly client_pieces?: readonly (string | number)[];
  /** How long the client leaves the connection open after its last byte; else it closes at once. */
  readonly hold_open_ms?: number;
  readonly expect: ServerExpectation;
  /** Where netqmail 1.06 does otherwise. */
  readonly netqmail106?: Partial<ServerExpectation>;
}

interface ServerExpectation {
  readonly server: string;
  readonly stderr: string;
  readonly exit: number;
  readonly queue: readonly QueueRun[];
}

/** What a server did. */
export interface ServerRun {
  readonly exit: number | null;
  readonly server: string;
  readonly stderr: string;
}

/** Ways to run a prepared case. */
export const CONNECTIONS = { pipes: runOnPipes, files: runOnFiles, 'a socket': runOnSocket };

const LONGEST_ADDRESS = 1002;
const DATE = /; \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000\n/;

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Writes the control files of a case; morercpthosts is compiled too. */
export function writeControl(folder: string, control: { readonly [name: string]: string } = {}): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(control)) {
    writeFileSync(join(folder, name), content, 'latin1');
    if (name !== 'morercpthosts') continue;
    const keys = content
      .split('\n')
      .map((line) => line.trimEnd().toLowerCase())
      .filter((key) => key !== '' && !key.startsWith('#'));
    const nothing = new Uint8Array(0);
    const records = keys.map((key) => ({ key: Buffer.from(key, 'latin1'), data: nothing }));
    writeFileSync(join(folder, 'morercpthosts.cdb'), buildCdb(records)!);
  }
}

/** A folder with a home, a recorder and a script `run` that starts the program in the case's environment. */
export function prepareServerCase(program: string, vector: ServerCase): string {
  const folder = mkdtempSync(join(tmpdir(), `${program}-vector-`));
  writeControl(join(folder, 'home/control'), vector.control);
  const { exit = 0, signal, fd6, noread = false, program_missing = false } = vector.queue_behaviour ?? {};
  // Ends are those of a queue program: 54 without the envelope's end, 11 for an address that is too long.
  const recorder = [
    '#!/bin/sh',
    `R=${quote(folder)}; echo $$ >>"$R/pids"`,
    noread ? `exit ${exit}` : 'cat >"$R/fd0.$$"; cat <&1 >"$R/fd1.$$"',
    fd6 === undefined ? '' : '{ cat "$R/fd6" >&6; } 2>/dev/null',
    signal === undefined ? '' : `kill -${signal} $$`,
    `[ "$(tail -c 2 "$R/fd1.$$" | od -An -tx1)" = " 00 00" ] || exit 54`,
    `tr '\\0' '\\n' <"$R/fd1.$$" | LC_ALL=C grep -qE '^.{${LONGEST_ADDRESS + 2}}' && exit 11`,
    `exit ${exit}`,
  ];
  if (fd6 !== undefined) writeFileSync(join(folder, 'fd6'), fd6, 'latin1');
  writeFileSync(join(folder, 'recorder'), recorder.join('\n'), { mode: 0o755 });
  const env = {
    PATH: '/usr/bin:/bin',
    ...vector.env,
    QMAILHOME: join(folder, 'home'),
    QMAILQUEUE: join(folder, program_missing ? 'no-such-program' : 'recorder'),
  };
  const words = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`));
  const script = `exec env -i ${words.join(' ')} ${quote(join(ROOT, 'bin', program))} "$@"`;
  writeFileSync(join(folder, 'run'), script, 'latin1');
  writeFileSync(join(folder, 'client'), vector.client, 'latin1');
  return folder;
}

/** Waits for the program and, through the shared standard error, for the queue program that it may leave behind. */
export function ended(child: ChildProcess): Promise<{ exit: number | null; stdout: string; stderr: string }> {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr?.on('data', (bytes: Buffer) => err.push(bytes));
  const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('latin1');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => resolve({ exit, stdout: text(out), stderr: text(err) }));
  });
}

async function runOnPipes(folder: string): Promise<ServerRun> {
  // Node would make socket pairs; the shell makes pipes.
  const line = '{ cat client | /bin/sh run; echo $? >exit; } | cat';
  const { stdout, stderr } = await ended(spawn('/bin/sh', ['-c', line], { cwd: folder }));
  return { exit: Number(readFileSync(join(folder, 'exit'), 'utf8')), server: stdout, stderr };
}

async function runOnFiles(folder: string): Promise<ServerRun> {
  const [input, output] = [openSync(join(folder, 'client'), 'r'), openSync(join(folder, 'server'), 'w')];
  const child = spawn('/bin/sh', ['run'], { cwd: folder, stdio: [input, output, 'pipe'] });
  closeSync(input);
  closeSync(output);
  const { exit, stderr } = await ended(child);
  return { exit, server: readFileSync(join(folder, 'server'), 'latin1'), stderr };
}

/** A client that is to hold its side open does so until the server ends the connection. */
async function runOnSocket(folder: string, vector: ServerCase): Promise<ServerRun> {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.on('connection', resolve));
  const client = connect({
    port: (server.address() as { port: number }).port,
    host: '127.0.0.1',
    noDelay: true,
  });
  const socket = await accepted;
  const child = spawn('/bin/sh', ['run'], { cwd: folder, stdio: [socket, socket, 'pipe'] });
  socket.destroy();
  server.close();
  const reply: Buffer[] = [];
  const closed = new Promise((resolve) => client.on('close', resolve));
  client.on('data', (bytes) => reply.push(bytes as Buffer));
  // The server may be gone before it has read all, as the protocol allows.
  client.on('error', () => {});
  for (const piece of vector.client_pieces ?? [vector.client]) {
    if (typeof piece === 'number') await new Promise((resolve) => setTimeout(resolve, piece));
    else await new Promise<void>((resolve) => client.write(piece, 'latin1', () => resolve()));
  }
  if (!vector.hold_open_ms) client.end();
  const { exit, stderr } = await ended(child);
  await closed;
  return { exit, server: Buffer.concat(reply).toString('latin1'), stderr };
}

/** What is expected of a program that does as netqmail 1.06. */
export function expectedOfNetqmail(vector: ServerCase): ServerExpectation {
  return { ...vector.expect, ...vector.netqmail106 };
}

/** Process ids of the queue programs of a case, in the order of their start. */
export function queuePids(folder: string): string[] {
  return readIfThere(join(folder, 'pids'))?.trim().split('\n') ?? [];
}

/** Compares what the queue programs of a case were given. */
export function compareQueueRuns(folder: string, expected: readonly QueueRun[]): void {
  const pids = queuePids(folder);
  assert.equal(pids.length, expected.length, 'runs of the queue program');
  for (const [i, pid] of pids.entries()) {
    if (expected[i]!.read === false) continue;
    const message = readIfThere(join(folder, `fd0.${pid}`)) ?? '';
    const envelope = Buffer.from(readIfThere(join(folder, `fd1.${pid}`)) ?? '', 'latin1');
    compareQueueRun({ message, envelope }, expected[i]!);
  }
}

/** Compares what a queue program was given; the date of the first field may be any. */
export function compareQueueRun(
  given: { readonly message: string; readonly envelope: Uint8Array },
  wanted: QueueRun,
): void {
  const envelope = parseQueueEnvelope(given.envelope);
  if (wanted.complete !== true) {
    assert.equal(envelope, undefined);
    return;
  }
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1');
  if (given.message !== wanted.message)
    assert.equal(given.message.replace(DATE, '; @DATE@\n'), wanted.message);
  assert.equal(text(envelope?.sender), wanted.sender);
  assert.deepEqual(envelope?.recipients.map(text), wanted.recipients);
}

/** Whether a time in seconds since 1970, in decimal, is now or less than a minute ago. */
export function isRecent(seconds: string): boolean {
  const age = Date.now() / 1000 - Number(seconds);
  return age >= 0 && age < 60;
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'latin1') : undefined;
}
