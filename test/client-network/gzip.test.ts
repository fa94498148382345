// A line that asks for compression, from the built client to a hub and to servers that do not know it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { makeListMail, queueEnvelope } from '../../bench/support/list-mail.ts';
import { submitByQmqp } from '../../src/client/qmqp-submit.ts';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { everyCut, nameOfCut, startCuttingProxy } from '../support/cutting-proxy.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { runClient } from '../support/run-client.ts';

let home: string;
let hub: HubProcess;
beforeEach(async () => {
  home = makeHome({ concurrencyremote: '0\n' });
  hub = await HubProcess.start(home);
});
afterEach(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

const submit = (servers: string, message: string, envelope: string) =>
  runClient({
    home: `${home}/client`,
    servers,
    message: Buffer.from(message, 'latin1'),
    envelope: Buffer.from(envelope, 'latin1'),
  });

/** A way to the hub that counts bytes and pieces of requests. */
async function countingLine(): Promise<{ port: number; bytes: number; first: number; close: () => void }> {
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: hub.port });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('data', (bytes: Buffer) => {
      if (line.bytes === 0) line.first = bytes[0]!;
      line.bytes += bytes.length;
    });
    client.pipe(upstream).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const line = { port, bytes: 0, first: 0, close: () => void server.close() };
  return line;
}

test('a message arrives as it was, and a second time by a plain line it is recognised', async () => {
  const message = `Message-ID: <gzip@x>\n\n\x1f\x8b\xff\0 ${'line\r\n'.repeat(50_000)}end`;
  const envelope = 'Fa@b.example\0Tbox@hub.example\0\0';
  assert.equal(await submit(`qmqp://127.0.0.1:${hub.port} gzip`, message, envelope), 0);
  assert.equal(await submit(`qmqp://127.0.0.1:${hub.port}`, message, envelope), 0);
  await hub.untilLogged(/qmqp\.resubmission/);
  await hub.untilLogged(/delivery\.success|delivered/);
  const arrived = readMailbox(home, 'hub.example', 'box');
  assert.equal(arrived.length, 1);
  assert.ok(arrived[0]!.endsWith(message));
});

test('a message to a list takes a third of the bytes', async () => {
  const mail = makeListMail();
  const [plain, packed] = [await countingLine(), await countingLine()];
  assert.equal(await submit(`qmqp://127.0.0.1:${plain.port}`, mail.message, queueEnvelope(mail)), 0);
  assert.equal(await submit(`qmqp://127.0.0.1:${packed.port} gzip`, mail.message, queueEnvelope(mail)), 0);
  for (const line of [plain, packed]) line.close();
  assert.deepEqual([plain.first, packed.first], ['3'.charCodeAt(0), 0x1f]);
  assert.ok(packed.bytes * 2.7 < plain.bytes, `${packed.bytes} for ${plain.bytes}`);
});

test('a message over the limit of the hub is refused for good although it is still being sent', async () => {
  await hub.end();
  removeHome(home);
  home = makeHome({ databytes: '1000\n' });
  hub = await HubProcess.start(home);
  const message = Array.from({ length: 200_000 }, (_, i) => `${(i * 7919) % 1_000_003}\n`).join('');
  const exit = await submit(`qmqp://127.0.0.1:${hub.port} gzip`, message, 'Fa@b\0Tbox@hub.example\0\0');
  assert.equal(exit, 31);
});

test('a server that does not know compression is a lost answer, and the mail is kept', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const lines = `qmqp://127.0.0.1:${port} gzip, qmqp://127.0.0.1:${hub.port}`;
  assert.equal(await submit(lines, 'Subject: x\n\nx\n', 'Fa@b\0Tbox@hub.example\0\0'), 74);
  assert.deepEqual(readMailbox(home, 'hub.example', 'box'), []);
  server.close();
});

test('a compressed request that is cut after any byte, either way, is accepted once by another line to the hub', async () => {
  const envelope = bytesOf('Fa@b.example\0Tbox@hub.example\0\0');
  const cuts = everyCut(100);
  const work = async () => {
    for (let cut = cuts.shift(); cut !== undefined; cut = cuts.shift()) {
      const proxy = await startCuttingProxy(hub.port, cut);
      const lines = [proxy.port, hub.port].map(
        (port) => ({ host: '127.0.0.1', port, gzip: true, hub: 'one' }) as const,
      );
      const message = [bytesOf(`Message-ID: <${nameOfCut(cut)}@x>\n\nx\n`)];
      const { exit } = await submitByQmqp({ home, servers: { servers: lines }, message, envelope });
      proxy.close();
      assert.equal(exit, 0, nameOfCut(cut));
    }
  };
  const count = cuts.length;
  await Promise.all(Array.from({ length: 8 }, work));
  await hub.untilLogged(/^accepted /m, count);
  assert.equal(hub.log.text.match(/^accepted /gm)?.length, count);
  assert.match(hub.log.text, /qmqp\.resubmission/);
  assert.match(hub.log.text, /early end of a gzip stream/);
});
