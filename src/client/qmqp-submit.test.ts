import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FakeServer, type ServerStep, startFakeServer } from '../../test/support/fake-qmqp-server.ts';
import { bytesOf } from '../core/bytes/bytes.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { ManualClock } from '../host/manual-clock.ts';
import type { ServerHistory } from './dead-servers.ts';
import { readQmqpServers, submitByQmqp } from './qmqp-submit.ts';

const ACCEPTS: ServerStep[] = [['read_all'], ['send', '2:Kk,'], ['close']];
const SMALL = [bytesOf('Subject: x\n\nbody\n')];
/** More than any socket buffer takes. */
const BIG = [new Uint8Array(40_000_000)];
const ENVELOPE = bytesOf('Fa@b\0Tc@d\0\0');

const running: FakeServer[] = [];
after(() => Promise.all(running.map((server) => server.stop())));

async function start(steps: ServerStep[]): Promise<FakeServer> {
  const server = await startFakeServer('127.0.0.1', 0, steps);
  running.push(server);
  return server;
}

/** A port on which nobody listens; one that was free a moment ago may be somebody else's by now. */
const CLOSED_PORT = 1;

async function submit(ports: number[], message = SMALL, clock = new ManualClock()): Promise<number> {
  const servers = ports.map((port) => ({ host: '127.0.0.1', port }));
  const { exit } = await submitByQmqp({
    home: '/',
    servers: { servers },
    message,
    envelope: ENVELOPE,
    clock,
  });
  return exit;
}

test('submitByQmqp() sends the request and takes the answer', async () => {
  for (const [letter, exit] of [
    ['K', 0],
    ['Z', 71],
    ['D', 31],
  ] as const) {
    const server = await start([['read_all'], ['send', `2:${letter}x,`], ['close']]);
    assert.equal(await submit([server.port]), exit);
    assert.equal(server.received.join(), '33:17:Subject: x\n\nbody\n,3:a@b,3:c@d,,');
  }
});

test('submitByQmqp() sends a big message unchanged to a slow reader', async () => {
  const server = await start([['read_slow', 500_000], ['send', '2:Kk,'], ['close']]);
  const message = Array.from({ length: 7 }, (_, i) => new Uint8Array(1_000_003).fill(i));
  assert.equal(await submit([server.port], message), 0);
  const wanted = Buffer.concat([bytesOf('7000042:7000021:'), ...message, bytesOf(',3:a@b,3:c@d,,')]);
  assert.ok(server.received[0]?.equals(wanted));
});

/** A message that is kept elsewhere, and where it was read from. */
function store(bytes: Uint8Array, lost = Number.POSITIVE_INFINITY) {
  const reads: number[] = [];
  return {
    reads,
    length: bytes.length,
    async read(from: number, length: number) {
      reads.push(from);
      return bytes.subarray(from, Math.min(from + length, lost));
    },
  };
}

test('submitByQmqp() reads a stored message piece by piece, from its start for each server', async () => {
  const first = await start([['read', 1_000_000], ['reset']]);
  const second = await start(ACCEPTS);
  const bytes = new Uint8Array(40_000_001).map((_, i) => i % 251);
  const message = store(bytes);
  const servers = [first, second].map(({ port }) => ({ host: '127.0.0.1', port }));
  const submission = { home: '/', servers: { servers }, envelope: ENVELOPE };
  const result = await submitByQmqp({ ...submission, message: [bytesOf('on top\n'), message] });
  assert.deepEqual([result.exit, result.isUnknown], [0, false]);
  const wanted = Buffer.concat([bytesOf('40000030:40000008:on top\n'), bytes, bytesOf(',3:a@b,3:c@d,,')]);
  assert.ok(second.received[0]?.equals(wanted));
  assert.equal(message.reads.filter((from) => from === 0).length, 2);
});

test('submitByQmqp() says 54 when a stored message cannot be read, and no server has a whole request', async () => {
  const first = await start(ACCEPTS);
  const second = await start(ACCEPTS);
  const servers = [first, second].map(({ port }) => ({ host: '127.0.0.1', port }));
  const fails = { length: 9, read: () => Promise.reject(new Error('gone')) };
  for (const message of [store(new Uint8Array(100_000), 99_999), fails])
    assert.equal(
      (await submitByQmqp({ home: '/', servers: { servers }, message: [message], envelope: ENVELOPE })).exit,
      54,
    );
  assert.equal(second.received.length, 0);
  for (const request of first.received) assert.ok(request.length < 100_000);
});

test('submitByQmqp() tries the next server when a connection is refused', async () => {
  const second = await start(ACCEPTS);
  assert.equal(await submit([CLOSED_PORT, second.port]), 0);
});

test('submitByQmqp() says 73 when all connections are refused, 55 when there is no server', async () => {
  const port = CLOSED_PORT;
  assert.equal(await submit([port, port]), 73);
  assert.equal(await submit([]), 55);
});

test('submitByQmqp() does not try another server after an answer or its absence', async () => {
  const second = await start(ACCEPTS);
  for (const [steps, exit] of [
    [[['read_all'], ['send', '2:Zx,'], ['close']], 71],
    [[['read_all'], ['send', '2:Dx,'], ['close']], 31],
    [[['read_all'], ['close']], 74],
    [[['read_all'], ['reset']], 74],
    [[['read_all'], ['send', 'K'], ['close']], 74],
    [[['read_all'], ['send', '3:Kk'], ['close']], 74],
  ] satisfies [ServerStep[], number][]) {
    const first = await start(steps);
    assert.equal(await submit([first.port, second.port]), exit);
  }
  assert.equal(second.received.length, 0);
});

test('submitByQmqp() tries the next server after a cut before the last byte was written', async () => {
  const first = await start([['read', 100_000], ['reset']]);
  const second = await start(ACCEPTS);
  assert.equal(await submit([first.port, second.port], BIG), 0);
  assert.equal(first.received.length, 1);
  assert.equal(await submit([first.port, first.port], BIG), 74);
});

test('submitByQmqp() gives up connecting after 10 seconds, all servers of the list beside each other', async () => {
  const hole = await start([['blackhole']]);
  for (const [ports, exit, lastMs] of [
    [[hole.port], 72, 10_000],
    [[hole.port, CLOSED_PORT], 73, 10_000],
    [[CLOSED_PORT, hole.port], 72, 10_000],
    [[hole.port, hole.port, hole.port], 72, 10_500],
  ] satisfies [number[], number, number][]) {
    const clock = new ManualClock();
    let result: number | undefined;
    void submit(ports, SMALL, clock).then((code) => {
      result = code;
    });
    while (clock.steadyMs() < lastMs - 250) {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      clock.advance(250);
    }
    assert.equal(result, undefined);
    clock.advance(249);
    await new Promise(setImmediate);
    assert.equal(result, undefined);
    clock.advance(1);
    while (result === undefined) await new Promise(setImmediate);
    assert.equal(result, exit);
  }
});

test('submitByQmqp() goes on to the next server when the first is silent for a quarter of a second', async () => {
  const hole = await start([['blackhole']]);
  const second = await start(ACCEPTS);
  const clock = new ManualClock();
  const result = submit([hole.port, second.port], SMALL, clock);
  clock.advance(249);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.equal(second.received.length, 0);
  clock.advance(1);
  assert.equal(await result, 0);
});

test('submitByQmqp() waits 60 seconds for each piece of the answer', async () => {
  const server = await start([['read_all'], ['send', '5:K'], ['hang']]);
  const clock = new ManualClock();
  const result = submit([server.port, server.port], SMALL, clock);
  await server.requestRead;
  while (clock.nextTimerMs() !== clock.nowMs() + 60_000) await new Promise(setImmediate);
  clock.advance(59_999);
  assert.equal(server.received.length, 1);
  clock.advance(1);
  assert.equal(await result, 74);
  assert.equal(server.received.length, 1);
});

test('submitByQmqp() gives up a server that does not read for 60 seconds and tries the next', async () => {
  const first = await start([['hang_noread']]);
  const second = await start(ACCEPTS);
  const clock = new ManualClock();
  const result = submit([first.port, second.port], BIG, clock);
  await first.connected;
  while (clock.nextTimerMs() !== clock.nowMs() + 60_000) await new Promise(setImmediate);
  clock.advance(60_000);
  assert.equal(await result, 0);
});

test('submitByQmqp() tells the history who let time pass and who was reached, and goes by its order', async () => {
  const [hanging, accepting] = [await start([['read_all'], ['hang']]), await start(ACCEPTS)];
  const servers = [
    { host: '127.0.0.1', port: CLOSED_PORT },
    ...[hanging, accepting].map(({ port }) => ({ host: '127.0.0.1', port })),
  ];
  const [refusing, first, second] = servers as [ServerAddress, ServerAddress, ServerAddress];
  const told: string[] = [];
  const nameOf = (server: ServerAddress) => String(servers.indexOf(server));
  const historyOf = (order: readonly ServerAddress[]): ServerHistory => ({
    order: () => [...order],
    silent: (server) => told.push(`${nameOf(server)} silent`),
    reached: (server) => told.push(`${nameOf(server)} reached`),
    save: () => told.push('save'),
  });
  const clock = new ManualClock();
  const submission = { home: '/', servers: { servers }, message: SMALL, envelope: ENVELOPE, clock };
  const hangs = submitByQmqp({ ...submission, history: historyOf(servers) });
  await hanging.requestRead;
  while (clock.nextTimerMs() !== clock.nowMs() + 60_000) await new Promise(setImmediate);
  clock.advance(60_000);
  const { exit, isUnknown, reason } = await hangs;
  assert.deepEqual([exit, isUnknown], [74, true]);
  assert.match(
    reason ?? '',
    /^qmqp:\/\/127\.0\.0\.1:\d+: nothing came in time while reading the length of the reply$/,
  );
  assert.deepEqual(told.splice(0), ['1 silent', 'save']);
  const result = await submitByQmqp({ ...submission, history: historyOf([second, refusing, first]) });
  assert.equal(result.exit, 0);
  assert.deepEqual(told.splice(0), ['2 reached', 'save']);
});

test('submitByQmqp() says what went wrong with each server, in the order of the list', async () => {
  const port = CLOSED_PORT;
  const servers = [
    { host: '127.0.0.1', port },
    { host: 'hub.example', port },
    { host: '::1', port },
  ];
  const resolve = () => Promise.reject(Object.assign(new Error('no'), { code: 'EAI_AGAIN' }));
  const { exit, reason } = await submitByQmqp({
    home: '/',
    servers: { servers },
    message: SMALL,
    envelope: ENVELOPE,
    resolve,
  });
  assert.equal(exit, 73);
  assert.deepEqual(reason?.split('; '), [
    'qmqp://127.0.0.1:1: no connection (ECONNREFUSED)',
    'hub.example: the name cannot be looked up now (EAI_AGAIN)',
    'qmqp://[::1]:1: no connection (ECONNREFUSED)',
  ]);
});

test('submitByQmqp() refuses a bad envelope before it looks for a server', async () => {
  const envelope = bytesOf('Fa@b\0Tc@d\0');
  for (const [servers, exit] of [
    [{ servers: [] }, 91],
    [{ exit: 55 }, 55],
  ] as const)
    assert.equal((await submitByQmqp({ home: '/', servers, message: SMALL, envelope })).exit, exit);
});

test('readQmqpServers() tells a home that cannot be entered from trouble with its files', () => {
  const home = mkdtempSync(join(tmpdir(), 'qmqp-submit-'));
  try {
    assert.deepEqual(readQmqpServers({ home: `${home}/nothing`, env: {} }), { exit: 61 });
    assert.deepEqual(readQmqpServers({ home, env: {} }), { exit: 55 });
    mkdirSync(`${home}/control`);
    assert.deepEqual(readQmqpServers({ home, env: {} }), { exit: 55 });
    writeFileSync(`${home}/control/qmqpservers`, '# none\n');
    assert.deepEqual(readQmqpServers({ home, env: {} }), { servers: [] });
    writeFileSync(`${home}/control/qmqpservers`, '10.0.0.1\nx\n10.0.0.2\n');
    const file = [
      { host: '10.0.0.1', port: 628 },
      { host: '10.0.0.2', port: 628 },
    ];
    assert.deepEqual(readQmqpServers({ home, env: { QMQPSERVERS: '' } }), { servers: file });
    const env = { QMQPSERVERS: 'qmqp://[::1]:26, 10.0.0.2' };
    assert.deepEqual(readQmqpServers({ home, env }), { servers: [{ host: '::1', port: 26 }, file[1]] });
    mkdirSync(`${home}/control/me`);
    assert.deepEqual(readQmqpServers({ home, env }), { exit: 55 });
  } finally {
    rmSync(home, { recursive: true });
  }
});
