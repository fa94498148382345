import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { type AttemptResult, converse } from './qmqp-conversation.ts';
import { type RequestSource, readPieces } from './request-source.ts';

const ending: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ending.splice(0)) end();
});

/** Both ends of a connection. */
async function pair(): Promise<[client: Socket, server: Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [
    [Socket],
    unknown,
  ];
  client.pause();
  peer.on('error', () => undefined);
  ending.push(() => {
    peer.destroy();
    server.close();
  });
  return [client, peer];
}

/** The conversation on a connection that does not tell that a write is done, cut when the peer has everything. */
async function cutBeforeTold(isEncrypted: boolean): Promise<AttemptResult> {
  const [client, peer] = await pair();
  const write = client.write.bind(client);
  client.write = ((chunk: Uint8Array) => write(chunk)) as Socket['write'];
  if (isEncrypted) Object.defineProperty(client, 'encrypted', { value: true });
  peer.once('data', () => peer.resetAndDestroy());
  return converse({ stream: client }, readPieces([bytesOf('1:x,')]), new ManualClock());
}

test('converse() knows of a socket that the kernel lacks a byte, of TLS only that it may', async () => {
  const { final, isUnknown } = await cutBeforeTold(false);
  assert.deepEqual([final, isUnknown], [false, false]);
  const encrypted = await cutBeforeTold(true);
  assert.deepEqual([encrypted.final, encrypted.isUnknown, encrypted.exit], [true, true, 74]);
});

test('converse() takes an error that proves a refusal for one, after the whole request too', async () => {
  for (const isRefusal of [false, true]) {
    const [client, peer] = await pair();
    peer.once('data', () => peer.resetAndDestroy());
    const ready = { stream: client, provesRefusal: () => isRefusal };
    const { final, isUnknown } = await converse(ready, readPieces([bytesOf('1:x,')]), new ManualClock());
    assert.deepEqual([final, isUnknown], [!isRefusal, !isRefusal]);
  }
});

test('converse() has no answer from a connection that is closed already', async () => {
  const [client] = await pair();
  client.destroy();
  const result = await converse({ stream: client }, readPieces([bytesOf('1:x,')]), new ManualClock());
  assert.deepEqual([result.exit, result.final], [74, false]);
});

test('converse() sends nothing that could be a whole request when its source fails', async () => {
  const [client, peer] = await pair();
  let received = '';
  peer.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  const ended = once(peer, 'close');
  const chunks = ['one', 'two', 'last'].map(bytesOf);
  const source: RequestSource = {
    next() {
      const chunk = chunks.shift();
      if (chunk === undefined) throw new Error('gone');
      return chunk;
    },
  };
  const result = await converse({ stream: client }, source, new ManualClock());
  assert.deepEqual([result.exit, result.final], [54, true]);
  await ended;
  assert.equal(received, 'onetwo');
});

test('readPieces() puts small pieces together, cuts large ones, and reads stored ones as they are needed', async () => {
  const stored = { length: 70_000, read: async (_from: number, length: number) => new Uint8Array(length) };
  const source = readPieces([
    bytesOf('a'),
    new Uint8Array(0),
    bytesOf('b'),
    new Uint8Array(65_536),
    stored,
    bytesOf('c'),
  ]);
  const lengths: number[] = [];
  for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next())
    lengths.push(chunk.length);
  assert.deepEqual(lengths, [65_536, 2, 65_536, 4464, 1]);
  assert.equal(await source.next(), undefined);
  const short = readPieces([{ length: 3, read: async () => new Uint8Array(2) }]);
  await assert.rejects(async () => short.next(), /not as long/);
});
