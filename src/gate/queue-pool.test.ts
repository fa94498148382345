import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { outcomeOfQueueResult, type QueueResult } from '../core/policy/outcome.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { MessageSpool } from './message-spool.ts';
import { createQueuePool, type QueuePoolOptions } from './queue-pool.ts';

const ENVELOPE = bytesOf('Fa@b\0Tc@d\0\0');

let home: string;
let clock: ManualClock;
let hubs: Hub[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'queue-pool-'));
  for (const name of ['bin', 'control', 'own', 'tmp']) mkdirSync(join(home, name));
  writeFileSync(join(home, 'own/qmail-qmqpc'), '');
  symlinkSync(join(home, 'own/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
  clock = new ManualClock();
  hubs = [];
});
afterEach(() => {
  for (const hub of hubs) hub.stop();
  rmSync(home, { recursive: true });
});

/** A server whose answers the test gives when it likes. */
class Hub {
  readonly port: number;
  readonly requests: Request[] = [];
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #wake = (): void => {};

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(port = 0): Promise<Hub> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const hub = new Hub(server);
    hubs.push(hub);
    return hub;
  }

  /** Resolves when so many whole requests have come. */
  async until(count: number): Promise<void> {
    while (this.requests.length < count)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  stop(): Promise<unknown> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.push(socket);
    let text = '';
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (more: string) => {
      text += more;
      const length = Number(text.slice(0, text.indexOf(':')));
      if (text.length < String(length).length + length + 2) return;
      this.requests.push({ text, answer: (reply) => socket.end(reply) });
      this.#wake();
    });
  }
}

interface Request {
  readonly text: string;
  readonly answer: (reply: string) => void;
}

function setServers(...ports: number[]): void {
  writeFileSync(
    join(home, 'control/qmqpservers'),
    ports.map((port) => `qmqp://127.0.0.1:${port}\n`).join(''),
  );
}

function makePool(options: Partial<QueuePoolOptions> = {}) {
  const pool = createQueuePool({ clock, ...options });
  const program = { home, ownBin: join(home, 'own'), customText: false };
  return async (
    text: string,
    { env = {}, isGone }: { env?: Record<string, string>; isGone?: () => boolean } = {},
  ): Promise<QueueResult> => {
    const queue = pool.openQueue({ ...program, env: { PATH: '/usr/bin:/bin', ...env } }, isGone);
    await queue.write(bytesOf(text));
    return queue.finish(ENVELOPE);
  };
}

const settle = () => new Promise(setImmediate);
const textOf = (result: QueueResult) => outcomeOfQueueResult(result).text;

test('a pool submits as many messages at a time as control/concurrencyqmqp says, in order', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  writeFileSync(join(home, 'control/concurrencyqmqp'), '2\n');
  const submit = makePool();
  const results = ['one', 'two', 'three', 'four'].map((text) => submit(text));
  await hub.until(2);
  await settle();
  assert.equal(hub.requests.length, 2);
  for (let i = 0; i < 4; i++) {
    await hub.until(Math.min(i + 2, 4));
    hub.requests[i]?.answer(i === 2 ? '2:Zx,' : '2:Kx,');
    assert.deepEqual(await results[i], { exit: i === 2 ? 71 : 0, writeFailed: false, pid: process.pid });
  }
  const sent = hub.requests.map(({ text }) => text);
  assert.deepEqual(sent.slice(2), ['20:5:three,3:a@b,3:c@d,,', '19:4:four,3:a@b,3:c@d,,']);
});

test('a pool refuses at once what finds no place to wait, and later what has waited too long', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  writeFileSync(join(home, 'control/concurrencyqmqp'), '1');
  const submit = makePool({ waitingMax: 1, waitMsMax: 5000 });
  const [first, second] = [submit('one'), submit('two')];
  const third = await submit('three');
  assert.deepEqual(outcomeOfQueueResult(third), {
    letter: 'Z',
    text: 'too many messages wait for a mail server (#4.3.2)',
  });
  await hub.until(1);
  clock.advance(5000);
  assert.equal(textOf(await second), 'waited too long for a mail server (#4.3.2)');
  hub.requests[0]?.answer('2:Kx,');
  assert.equal((await first).exit, 0);
  assert.equal(hub.requests.length, 1);
});

test('a pool does not submit what waited for a client that has left', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  writeFileSync(join(home, 'control/concurrencyqmqp'), '1');
  const submit = makePool();
  const first = submit('one');
  const second = submit('two', { isGone: () => true });
  const third = submit('three');
  await hub.until(1);
  hub.requests[0]?.answer('2:Kx,');
  await hub.until(2);
  hub.requests[1]?.answer('2:Kx,');
  const exits = (await Promise.all([first, second, third])).map(({ exit }) => exit);
  assert.deepEqual(exits, [0, 52, 0]);
  assert.deepEqual(
    hub.requests.map(({ text }) => text.split(':')[2]?.split(',')[0]),
    ['one', 'three'],
  );
});

test('a pool says that no server can be reached, and finds one as soon as it is back', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  await hub.stop();
  const changes: string[] = [];
  const submit = makePool({
    onServerChange: ({ port }, isReachable) => changes.push(`${port} ${isReachable}`),
  });
  for (let i = 0; i < 2; i++)
    assert.equal(textOf(await submit('one')), 'connection to mail server rejected (#4.4.1)');
  const again = await Hub.start(hub.port);
  const result = submit('two');
  await again.until(1);
  again.requests[0]?.answer('2:Kx,');
  assert.equal((await result).exit, 0);
  assert.deepEqual(changes, [`${hub.port} false`, `${hub.port} true`]);
});

test('a pool reads the servers again when their file has changed, and takes those of the environment', async () => {
  const [first, second] = [await Hub.start(), await Hub.start()];
  const submit = makePool();
  const deliver = async (hub: Hub, env = {}) => {
    const result = submit('x', { env });
    await hub.until(hub.requests.length + 1);
    hub.requests.at(-1)?.answer('2:Kx,');
    return (await result).exit;
  };
  assert.equal((await submit('x')).exit, 55);
  setServers(first.port);
  clock.advance(1000);
  assert.equal(await deliver(first), 0);
  assert.equal(await deliver(second, { QMQPSERVERS: `qmqp://127.0.0.1:${second.port}` }), 0);
  setServers(second.port, first.port);
  assert.equal(await deliver(first), 0);
  clock.advance(1000);
  assert.equal(await deliver(second), 0);
  clock.advance(1000);
  rmSync(join(home, 'control/qmqpservers'));
  assert.equal((await submit('x')).exit, 55);
});

test('a pool sends a large message from a file, and gives its room back', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  const spool = new MessageSpool({ folder: join(home, 'tmp'), messageBytesMax: 1000, memoryBytesMax: 2000 });
  const submit = makePool({ spool });
  const text = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join('');
  for (let i = 0; i < 3; i++) {
    const result = submit(text);
    await hub.until(i + 1);
    hub.requests[i]?.answer('2:Kx,');
    assert.equal((await result).exit, 0);
    assert.ok(hub.requests[i]?.text === `${text.length + 20}:${text.length}:${text},3:a@b,3:c@d,,`);
  }
  assert.ok(spool.memory.take(2000));
});

test('a pool refuses for now an envelope for which there is no memory, and gives back what it took', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  const submit = makePool({ envelopeBytesMax: 2 * ENVELOPE.length - 1 });
  for (let i = 0; i < 2; i++) {
    const result = submit('x');
    await hub.until(i + 1);
    assert.equal(textOf(await submit('y')), 'qq out of memory (#4.3.0)');
    hub.requests[i]?.answer('2:Kx,');
    assert.equal((await result).exit, 0);
  }
});

test('a pool refuses for now what cannot be kept, and sends nothing of it', async () => {
  const hub = await Hub.start();
  setServers(hub.port);
  const spool = new MessageSpool({ folder: join(home, 'missing'), messageBytesMax: 3 });
  assert.equal(textOf(await makePool({ spool })('four')), 'qq write error or disk full (#4.3.0)');
  assert.equal(hub.requests.length, 0);
});

test('a pool starts any other queue program as always, also one that takes the place of ours', async () => {
  const other = '#!/bin/sh\ncat >/dev/null; exit 31\n';
  const submit = makePool();
  assert.equal((await submit('x')).exit, 55);
  rmSync(join(home, 'bin/qmail-queue'));
  writeFileSync(join(home, 'bin/qmail-queue'), other, { mode: 0o755 });
  clock.advance(1000);
  assert.equal((await submit('x')).exit, 31);
  writeFileSync(join(home, 'other'), '#!/bin/sh\ncat >got; cat <&1 >>got; exit 31\n', { mode: 0o755 });
  const result = await submit('one ', { env: { QMAILQUEUE: './other' } });
  assert.equal(result.exit, 31);
  assert.notEqual(result.pid, process.pid);
  assert.equal(readFileSync(join(home, 'got'), 'latin1'), 'one Fa@b\0Tc@d\0\0');
});
