// The golden vectors of qmail-qmqpd: the built program with a recorder as queue program, its connection once a pair of
// pipes, once files, once a TCP socket as both descriptors, as under tcpserver.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseQueueEnvelope } from '../../src/core/format/queue-envelope.ts';
import { ROOT } from '../support/client-vectors.ts';
import { startFakeServer } from '../support/fake-qmqp-server.ts';

interface QueueRun {
  readonly complete?: boolean;
  readonly read?: false;
  readonly message?: string;
  readonly sender?: string;
  readonly recipients?: readonly string[];
}

interface QmqpdCase {
  readonly name: string;
  readonly env: { readonly [name: string]: string };
  readonly queue_behaviour?: {
    readonly exit?: number;
    readonly signal?: number;
    readonly fd6?: string;
    readonly noread?: boolean;
    readonly program_missing?: boolean;
  };
  readonly client: string;
  readonly client_pieces?: readonly (string | number)[];
  readonly expect: {
    readonly server: string;
    readonly stderr: string;
    readonly exit: number;
    readonly queue: readonly QueueRun[];
  };
}

interface Run {
  readonly exit: number | null;
  readonly server: string;
  readonly stderr: string;
}

const CONNECTIONS = { pipes: runOnPipes, files: runOnFiles, 'a socket': runOnSocket };

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** A folder with a home, a recorder and a script `run` that starts the program in the case's environment. */
function prepare(vector: QmqpdCase): string {
  const folder = mkdtempSync(join(tmpdir(), 'qmqpd-vector-'));
  mkdirSync(join(folder, 'home/control'), { recursive: true });
  const { exit = 0, signal, fd6, noread = false, program_missing = false } = vector.queue_behaviour ?? {};
  const recorder = [
    '#!/bin/sh',
    `R=${quote(folder)}; echo $$ >>"$R/pids"`,
    noread ? `exit ${exit}` : 'cat >"$R/fd0"; cat <&1 >"$R/fd1"',
    fd6 === undefined ? '' : 'cat "$R/fd6" >&6',
    signal === undefined ? '' : `kill -${signal} $$`,
    `[ "$(tail -c 2 "$R/fd1" | od -An -tx1)" = " 00 00" ] || exit 54`,
    `exit ${exit}`,
  ];
  if (fd6 !== undefined) writeFileSync(join(folder, 'fd6'), fd6, 'latin1');
  writeFileSync(join(folder, 'recorder'), recorder.join('\n'), { mode: 0o755 });
  const env = {
    ...vector.env,
    PATH: '/usr/bin:/bin',
    QMAILHOME: join(folder, 'home'),
    QMAILQUEUE: join(folder, program_missing ? 'no-such-program' : 'recorder'),
  };
  const words = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`));
  const script = `exec env -i ${words.join(' ')} ${quote(join(ROOT, 'bin/qmail-qmqpd'))}`;
  writeFileSync(join(folder, 'run'), script, 'latin1');
  writeFileSync(join(folder, 'client'), vector.client, 'latin1');
  return folder;
}

/** Waits for the program and, through the shared standard error, for the queue program that it may leave behind. */
function ended(child: ChildProcess): Promise<{ exit: number | null; stdout: string; stderr: string }> {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr?.on('data', (bytes: Buffer) => err.push(bytes));
  const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('latin1');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => resolve({ exit, stdout: text(out), stderr: text(err) }));
  });
}

async function runOnPipes(folder: string): Promise<Run> {
  // Node would make socket pairs; the shell makes pipes.
  const line = '{ cat client | /bin/sh run; echo $? >exit; } | cat';
  const { stdout, stderr } = await ended(spawn('/bin/sh', ['-c', line], { cwd: folder }));
  return { exit: Number(readFileSync(join(folder, 'exit'), 'utf8')), server: stdout, stderr };
}

async function runOnFiles(folder: string): Promise<Run> {
  const [input, output] = [openSync(join(folder, 'client'), 'r'), openSync(join(folder, 'server'), 'w')];
  const child = spawn('/bin/sh', ['run'], { cwd: folder, stdio: [input, output, 'pipe'] });
  closeSync(input);
  closeSync(output);
  const { exit, stderr } = await ended(child);
  return { exit, server: readFileSync(join(folder, 'server'), 'latin1'), stderr };
}

async function runOnSocket(folder: string, vector: QmqpdCase): Promise<Run> {
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
  client.end();
  const { exit, stderr } = await ended(child);
  await closed;
  return { exit, server: Buffer.concat(reply).toString('latin1'), stderr };
}

function compare(vector: QmqpdCase, folder: string, run: Run): void {
  const pids = readIfThere(join(folder, 'pids'))?.trim().split('\n') ?? [];
  assert.equal(run.exit, vector.expect.exit);
  assert.equal(run.stderr, vector.expect.stderr);
  assert.equal(normalised(run.server, pids[0]), vector.expect.server);
  assert.equal(pids.length, vector.expect.queue.length, 'runs of the queue program');
  const [wanted] = vector.expect.queue;
  if (wanted === undefined || wanted.read === false) return;
  const envelope = parseQueueEnvelope(Buffer.from(readIfThere(join(folder, 'fd1')) ?? '', 'latin1'));
  if (wanted.complete !== true) {
    assert.equal(envelope, undefined);
    return;
  }
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1');
  const date = /; \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000\n/;
  const message = readIfThere(join(folder, 'fd0'))?.replace(date, '; @DATE@\n');
  assert.equal(message, wanted.message);
  assert.equal(text(envelope?.sender), wanted.sender);
  assert.deepEqual(envelope?.recipients.map(text), wanted.recipients);
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'latin1') : undefined;
}

/** A reply with the time, the given pid and a right length replaced by their placeholders. */
function normalised(reply: string, pid: string | undefined): string {
  const accepted = /^(\d+):Kok (\d+) qp (\d+),$/.exec(reply);
  if (accepted === null || accepted[3] !== pid) return reply;
  const lengthIsRight = reply.length === Number(accepted[1]) + `${accepted[1]}:,`.length;
  const ageSeconds = Date.now() / 1000 - Number(accepted[2]);
  return lengthIsRight && ageSeconds >= 0 && ageSeconds < 60 ? '@LEN@:Kok @TIME@ qp @QP@,' : reply;
}

const cases: QmqpdCase[] = JSON.parse(readFileSync(join(ROOT, 'test/vectors/qmail-qmqpd.json'), 'utf8'));

for (const [connection, run] of Object.entries(CONNECTIONS)) {
  describe(`qmail-qmqpd on ${connection}`, { concurrency: 3 }, () => {
    for (const vector of cases) {
      test(vector.name, async () => {
        const folder = prepare(vector);
        try {
          compare(vector, folder, await run(folder, vector));
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  });
}

for (const [letter, reply] of [
  ['K', /^\d+:Kok \d+ qp \d+,$/],
  ['Z', /^50:Zmail server temporarily rejected message \(#4\.3\.0\),$/],
  ['D', /^50:Dmail server permanently rejected message \(#5\.3\.0\),$/],
] as const) {
  test(`qmail-qmqpd hands a message to our own QMQP client in its process, and relays ${letter}`, async () => {
    const server = await startFakeServer('127.0.0.1', 0, [
      ['read_all'],
      ['send', `2:${letter}x,`],
      ['close'],
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'qmqpd-relay-'));
    try {
      const home = join(folder, 'home');
      mkdirSync(join(home, 'control'), { recursive: true });
      mkdirSync(join(home, 'bin'));
      symlinkSync(join(ROOT, 'bin/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
      writeFileSync(join(home, 'control/qmqpservers'), `qmqp://127.0.0.1:${server.port}\n`);
      const child = spawn(join(ROOT, 'bin/qmail-qmqpd'), {
        env: { QMAILHOME: home, TCPREMOTEIP: '192.0.2.7' },
      });
      child.stdin.end('15:2:m\n,1:s,3:r@y,,');
      const { exit, stdout, stderr } = await ended(child);
      assert.deepEqual([exit, stderr], [0, '']);
      assert.match(stdout, reply);
      const field = String.raw`Received: from unknown \(192\.0\.2\.7\)\n  by unknown with QMQP; .* -0000\n`;
      assert.match(server.received.join(), new RegExp(String.raw`^\d+:\d+:${field}m\n,1:s,3:r@y,,$`));
    } finally {
      rmSync(folder, { recursive: true });
      await server.stop();
    }
  });
}
