// The client through a line that is cut after each byte of the exchange, in both directions, with a second line to the same hub
// behind it: with `hub` each message is delivered once and the client says so; without, it says that it does not know.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { type SubmissionResult, submitByQmqp } from '../../src/client/qmqp-submit.ts';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { ServerAddress } from '../../src/core/format/server-list.ts';
import { type Clock, SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { linesArrived } from '../support/arrived.ts';
import { type Cut, everyCut, nameOfCut, startCuttingProxy } from '../support/cutting-proxy.ts';
import { HubProcess, makeHome, qmqpRequest, removeHome } from '../support/hub-process.ts';
import { makeIdentities } from '../support/identities.ts';
import { runClient } from '../support/run-client.ts';

const SENDER = 'a@b.example';
const TO = 'box@hub.example';
const ENVELOPE = bytesOf(`F${SENDER}\0T${TO}\0\0`);
const AT_A_TIME = 8;

let home: string;
let hub: HubProcess;
beforeEach(async () => {
  home = makeHome();
  hub = await HubProcess.start(home);
});
afterEach(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

const textOf = (name: string) => `Message-ID: <${name}@x>\n\n${name}\n`;

function submit(
  text: string,
  lines: readonly ServerAddress[],
  clock: Clock = SYSTEM_CLOCK,
): Promise<SubmissionResult> {
  const message = [bytesOf(text)];
  return submitByQmqp({ home, servers: { servers: lines }, message, envelope: ENVELOPE, clock });
}

/** A clock on which no pause is long. */
const HASTY_CLOCK: Clock = {
  ...SYSTEM_CLOCK,
  after: (delayMs, callback) => SYSTEM_CLOCK.after(delayMs / 100, callback),
};

/** Submits one message for each cut, through it and by a second line. */
async function submitThroughCuts(
  cuts: readonly Cut[],
  lineOf: (port: number) => ServerAddress,
  prefix = '',
): Promise<ReadonlyMap<string, SubmissionResult>> {
  const results = new Map<string, SubmissionResult>();
  const waiting = [...cuts];
  const work = async () => {
    for (let cut = waiting.shift(); cut !== undefined; cut = waiting.shift()) {
      const proxy = await startCuttingProxy(hub.port, cut);
      const name = prefix + nameOfCut(cut);
      results.set(name, await submit(textOf(name), [lineOf(proxy.port), lineOf(hub.port)]));
      proxy.close();
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return results;
}

const { length } = qmqpRequest(textOf('request-000-reset'), SENDER, [TO]);

test('a line of a known hub that is cut after any byte, either way: accepted, and delivered once', async () => {
  const cuts = everyCut(length);
  const results = await submitThroughCuts(cuts, (port) => ({ host: '127.0.0.1', port, hub: 'one' }));
  assert.deepEqual(
    [...results].filter(([, { exit, isUnknown }]) => exit !== 0 || isUnknown),
    [],
  );
  assert.deepEqual((await linesArrived(home)).sort(), cuts.map(nameOfCut).sort());
  const recognised = hub.log.text.split('qmqp.resubmission').length - 1;
  // After whole requests; a reset may overtake what was sent before it.
  assert.ok(recognised >= 20, `${recognised} were recognised`);
});

test('a line of a server that may be any, cut after any byte: 74, and no message is there twice', async () => {
  const cuts = everyCut(length);
  const results = await submitThroughCuts(cuts, (port) => ({ host: '127.0.0.1', port }));
  const arrived = await linesArrived(home);
  assert.equal(new Set(arrived).size, arrived.length);
  for (const [name, { exit, isUnknown }] of results) {
    // Before the kernel had the request the next line was free to take it.
    if (exit === 0) assert.ok(arrived.includes(name), name);
    else assert.deepEqual([exit, isUnknown], [74, true], name);
  }
  const lost = [...results].filter(([, { exit }]) => exit === 74);
  assert.ok(lost.length > cuts.length / 2, `${lost.length} of ${cuts.length}`);
});

/** Bytes that a client sends and gets when nothing is cut. */
async function lengthsOf(lineOf: (port: number) => ServerAddress): Promise<[request: number, reply: number]> {
  const lengths: [number, number] = [0, 0];
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: hub.port });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    const forward = (from: Socket, to: Socket, side: 0 | 1) =>
      from
        .on('data', (bytes) => {
          lengths[side] += bytes.length;
          to.write(bytes);
        })
        .on('close', () => to.destroy());
    forward(client, upstream, 0);
    forward(upstream, client, 1);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { exit } = await submit(textOf('whole'), [lineOf((server.address() as AddressInfo).port)]);
  server.close();
  assert.equal(exit, 0);
  return lengths;
}

test('compressed requests and TLS are cut like plain requests: once with hub, never twice without', async () => {
  await hub.end('SIGKILL');
  const people = makeIdentities(Date.now());
  try {
    hub = await HubProcess.start(people.hub);
    removeHome(home);
    home = people.hub;
    for (const [options, step] of [
      [{ gzip: true }, 1],
      [{ tls: {} }, 37],
    ] as const) {
      const whole = await lengthsOf((port) => ({ host: '127.0.0.1', port, ...options }));
      const cuts = everyCut(...whole, step);
      const lineOf = (port: number) => ({ host: '127.0.0.1', port, ...options, hub: 'one' });
      const results = await submitThroughCuts(cuts, lineOf, `${step}-known-`);
      assert.deepEqual(
        [...results].filter(([, { exit }]) => exit !== 0),
        [],
      );
      const unknown = await submitThroughCuts(
        cuts,
        (port) => ({ host: '127.0.0.1', port, ...options }),
        `${step}-any-`,
      );
      const arrived = await linesArrived(home);
      assert.equal(new Set(arrived).size, arrived.length, 'one is there twice');
      for (const name of results.keys()) assert.ok(arrived.includes(name), name);
      for (const [name, { exit }] of unknown) if (exit === 0) assert.ok(arrived.includes(name), name);
      const codes = new Set([...unknown.values()].map(({ exit }) => exit));
      assert.deepEqual([...codes].sort(), [0, 74]);
    }
  } finally {
    await hub.end('SIGKILL');
    people.remove();
  }
});

test('a message without a Message-ID that counts is not sent again, even to a known hub', async () => {
  const proxy = await startCuttingProxy(hub.port, { direction: 'reply', after: 0, isReset: false });
  const lines = [proxy.port, hub.port].map((port) => ({ host: '127.0.0.1', port, hub: 'one' }));
  for (const text of ['Subject: none\n\nx\n', 'Message-ID: <4711@vm>\n\nx\n']) {
    const { exit, isUnknown, reason } = await submit(text, lines);
    assert.deepEqual([exit, isUnknown], [74, true]);
    assert.match(
      reason ?? '',
      /^qmqp:\/\/127\.0\.0\.1:\d+: early-end while reading the length of the reply$/,
    );
  }
  proxy.close();
  assert.equal((await linesArrived(home)).length, 2);
});

test('another line is the same hub only if it has the same name, or is the same', async () => {
  const proxy = await startCuttingProxy(hub.port, { direction: 'reply', after: 0, isReset: true });
  const cut = { host: '127.0.0.1', port: proxy.port };
  const direct = { host: '127.0.0.1', port: hub.port };
  for (const [first, second] of [
    [
      { ...cut, hub: 'one' },
      { ...direct, hub: 'two' },
    ],
    [
      { ...cut, hub: '' },
      { ...direct, hub: '' },
    ],
    [
      { ...cut, hub: '' },
      { ...direct, hub: 'one' },
    ],
  ] as const) {
    const name = `${first.hub}-${second.hub}`;
    const { exit } = await submit(textOf(`id-${name}`), [first, second], HASTY_CLOCK);
    assert.equal(exit, 74, name);
  }
  proxy.close();
  assert.equal((await linesArrived(home)).length, 3);
});

/** A line whose hub is killed when the first byte of a reply is on its way; the byte is not passed on. */
async function killBetween(onReply: () => void): Promise<{ port: number; close: () => void }> {
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: hub.port });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('data', (bytes) => upstream.write(bytes)).on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.on('data', () => {
      onReply();
      upstream.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

test('a hub that is killed between commit and reply, and started again, has the message once', async () => {
  const { port } = hub;
  let started: Promise<void> | undefined;
  const line = await killBetween(() => {
    started = (async () => {
      await hub.end('SIGKILL');
      hub = await HubProcess.start(home, undefined, port);
    })();
  });
  const servers = [line.port, port].map((at) => `qmqp://127.0.0.1:${at} hub=one`).join(',');
  const message = Buffer.from(textOf('killed'));
  const exit = await runClient({ home: `${home}/client`, servers, message, envelope: ENVELOPE });
  await started;
  line.close();
  assert.equal(exit, 0);
  assert.deepEqual(await linesArrived(home), ['killed']);
  assert.match(hub.log.text, /qmqp\.resubmission/);
});
