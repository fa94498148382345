// Compressed requests at the listener, on real sockets: what is taken, what is refused, what it costs.

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { textOf } from '../core/bytes/bytes.ts';
import { createLineLog } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../queue/memory-queue.ts';
import { QmqpListener } from './qmqp-listener.ts';

const SIZE_MAX = 200_000;
const K = /^\d+:Kok /;

let queue: MemoryQueue;
/** Bytes that the queue was given. */
let written: number;
let logText: string;
let listener: QmqpListener;
let port: number;
/** Called at each write, which waits for what it returns. */
let onWrite: () => Promise<void> | undefined;

beforeEach(async () => {
  const clock = new ManualClock();
  [queue, written, logText] = [new MemoryQueue(new MemoryQueueStorage(), clock), 0, ''];
  onWrite = () => undefined;
  listener = new QmqpListener({
    queue: {
      begin() {
        const intake = queue.begin();
        return {
          write(bytes) {
            written += bytes.length;
            return intake.write(bytes) ?? onWrite();
          },
          commit: (envelope) => intake.commit(envelope),
          commitOnce: (envelope, fingerprint) => intake.commitOnce(envelope, fingerprint),
          abort: () => intake.abort(),
        };
      },
    },
    classify: (address) => ({ channel: 'local', address }),
    judge: () => ({ allow: true }),
    me: 'hub.example',
    limits: { messageSizeMax: SIZE_MAX, recipientCountMax: 3, addressBytesMax: 2000 },
    connectionCountMax: 600,
    idleMs: 300_000,
    clock,
    log: createLineLog((line) => {
      logText += line;
    }),
  });
  ({ port } = await listener.listen({ host: '127.0.0.1', port: 0 }));
});
afterEach(() => listener.close(60_000));

function open(): { socket: Socket; reply: Promise<string> } {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end());
  // Not once(), which rejects when a reset comes first.
  const reply = new Promise<string>((resolve) => socket.on('close', () => resolve(received)));
  return { socket, reply };
}

/** Sends the pieces, each when the one before is away and the listener has had time to see it, and gives the reply. */
async function exchange(...pieces: Uint8Array[]): Promise<string> {
  const { socket, reply } = open();
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }
  return reply;
}

const netstring = (text: string) => `${text.length}:${text},`;
const request = (message: string, ...addresses: string[]) =>
  Buffer.from(netstring([message, ...addresses].map(netstring).join('')), 'latin1');
const pack = (bytes: Uint8Array) => gzipSync(bytes, { level: 9 });

test('a compressed request is taken however it is cut, once the end of its stream is there', async () => {
  const packed = pack(request('Subject: x\n\nb\xff\0\n', 'a@b.example', 'c@d.example', 'e@f.example'));
  for (let at = 1; at < packed.length; at++)
    assert.match(await exchange(packed.subarray(0, at), packed.subarray(at)), K, `cut at ${at}`);
  assert.equal(queue.stats().accepted, packed.length - 1);
  assert.match(logText, /^accepted id=1 ip=127\.0\.0\.1 sender=a@b\.example recipients=2 bytes=105\n/);
});

test('the same request, compressed and not, is the same message', async () => {
  const plain = request('Message-ID: <o@a>\n\nb\n', 'a@b', 'c@d');
  for (const bytes of [pack(plain), plain, gzipSync(plain, { level: 1 })])
    assert.match(await exchange(bytes), / qp 1,$/);
  assert.match(logText, /^accepted .*\nqmqp\.resubmission .*\nqmqp\.resubmission .*\n$/);
});

test('a stream that is damaged, cut off or has more in it gets no answer, and nothing is queued', async () => {
  const plain = request('x\n', 'a@b', 'c@d');
  const packed = pack(plain);
  const wrong = Buffer.from(packed);
  wrong[wrong.length - 6]! ^= 1;
  const rows: [bytes: Uint8Array, reason: string][] = [
    [wrong, 'wrong check value of a gzip stream while waiting for the queue'],
    [packed.subarray(0, -1), 'early end of a gzip stream while waiting for the queue'],
    [packed.subarray(0, 15), 'early end of a gzip stream while reading the length of the message'],
    [pack(plain.subarray(0, -1)), 'early-end while reading the end of the request'],
    [pack(Buffer.concat([plain, plain])), 'more than a request in a gzip stream while waiting for the queue'],
    [Buffer.concat([pack(plain).subarray(0, 12), Buffer.alloc(99, 7)]), 'damaged gzip stream while'],
    [Buffer.of(0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0), 'bad gzip header while'],
    [pack(Buffer.from('HELO x\r\n')), 'bad-length while reading the length of the request'],
    [pack(packed), 'bad-length while reading the length of the request'],
  ];
  for (const [bytes, reason] of rows) {
    logText = '';
    const { socket, reply } = open();
    socket.end(bytes);
    assert.equal(await reply, '', reason);
    assert.ok(logText.startsWith(`qmqp.lost ip=127.0.0.1 reason="${reason}`), `${reason}: ${logText}`);
  }
  assert.equal(queue.stats().accepted, 0);
});

test('what is over a limit is refused for good at once, to a client that sends all before it reads', async () => {
  const big = request('x'.repeat(SIZE_MAX + 1), 'a@b', 'c@d');
  const rows: [Uint8Array, RegExp][] = [
    [pack(big), /:D.*size limit \(#5\.3\.4\),$/],
    [gzipSync(big, { level: 0 }), /:D.*size limit \(#5\.3\.4\),$/],
    [pack(request('x', 'a@b', 'c@d', 'c@e', 'c@f', 'c@g')), /:D.*too many recipients \(#5\.5\.3\),$/],
    [pack(request('x', 'a@b', 'c'.repeat(1000))), /:D.*addresses like that \(#5\.1\.3\),$/],
  ];
  for (const [bytes, want] of rows) assert.match(await exchange(bytes), want);
  assert.equal(queue.stats().accepted, 0);
  assert.equal(logText.match(/^refused ip=127\.0\.0\.1 .*reply=/gm)?.length, 4);
});

/** A gzip stream of what `head` says and then a gigabyte of one byte. */
function bomb(head: string, byte: string): Buffer {
  const parts = [deflateRawSync(Buffer.from(head), { finishFlush: 2 })];
  const part = deflateRawSync(Buffer.alloc(1 << 24, byte), { finishFlush: 2 });
  for (let i = 0; i < 64; i++) parts.push(part);
  return Buffer.concat([pack(Buffer.of()).subarray(0, 10), ...parts, Buffer.of(3, 0), Buffer.alloc(8)]);
}

test('a megabyte that unpacks to a gigabyte costs no more than a message of the largest size', async () => {
  const rows: [Uint8Array, reply: RegExp, log: RegExp][] = [
    [bomb('', '\0'), /^$/, /^qmqp\.lost .*bad-length/],
    [bomb('1073741900:1073741824:', '\0'), /:D.*size limit/, /^refused /],
    [bomb('1073741900:100:', '\0'), /^$/, /^qmqp\.lost .*missing-comma/],
    [bomb('1073741900:', '0'), /^$/, /^qmqp\.lost .*more than \d+ bytes in a gzip stream/],
    [bomb('9:1:x,1:a,0:,,', '\0'), /^$/, /^qmqp\.lost .*/],
  ];
  for (const [bytes, reply, log] of rows) {
    logText = '';
    assert.match(await exchange(bytes), reply);
    assert.match(logText, log);
  }
  assert.ok(written < 1000, `${written} bytes written`);
});

test('while the queue writes the client has to wait, and nothing is lost or out of order', async () => {
  const text = Array.from({ length: 15_000 }, (_, i) => `line ${i}\n`).join('');
  const packed = pack(request(text, 'a@b', 'c@d'));
  let writes = 0;
  onWrite = () => {
    writes++;
    return new Promise((resolve) => setImmediate(resolve));
  };
  assert.match(await exchange(packed), K);
  assert.ok(writes > 2);
  const stored = textOf(await queue.read(1));
  assert.equal(crc32(stored.slice(-text.length)), crc32(text));
});

test('a client that resets its connection in the middle leaves nothing behind', async () => {
  const began = new Promise<void>((resolve) => {
    onWrite = () => void resolve();
  });
  const { socket, reply } = open();
  const noise = Buffer.from(Array.from({ length: 90_000 }, (_, i) => (i * i * 7919) >> 3)).toString('latin1');
  const packed = pack(request(noise, 'a@b', 'c@d'));
  socket.write(packed.subarray(0, -100));
  await began;
  socket.resetAndDestroy();
  await reply;
  await listener.close(60_000);
  assert.match(logText, /^$|^qmqp\.lost /);
  assert.equal(queue.stats().accepted, 0);
});

test('at most 500 requests are unpacked at a time; one more is put off, and when one is over there is room', async () => {
  const opened = Array.from({ length: 500 }, open);
  for (const { socket } of opened) socket.write(Buffer.of(0x1f));
  // The listener has read the byte of each when it has answered somebody who came later.
  const packed = pack(request('x', 'a@b', 'c@d'));
  assert.match(await exchange(packed), /^\d+:Zqq out of memory/);
  const [first, ...others] = opened;
  first!.socket.destroy();
  await first!.reply;
  assert.match(await exchange(request('x', 'a@b', 'c@d')), K);
  assert.match(await exchange(packed), K);
  for (const { socket } of others) socket.destroy();
});
