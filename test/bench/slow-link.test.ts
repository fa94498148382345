// The slow line that the modem bench measures on: its arithmetic, in virtual time, and that it changes nothing that it carries.

import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { fillTcpChecksum } from '../../bench/support/ip-packet.ts';
import { LineMeter } from '../../bench/support/link-meter.ts';
import { ModelConnection, SerialLink, wireLimitSeconds } from '../../bench/support/link-model.ts';
import { openProxyLink } from '../../bench/support/link-proxy.ts';
import { ArrivalQueue } from '../../bench/support/link-queue.ts';
import { makeListMail } from '../../bench/support/list-mail.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';

/** A byte takes a millisecond. */
const SPEED = { bitsPerSecond: 8000, delayMs: 100 };

test('bits leave one after the other and arrive after the delay; an idle line saves nothing up', () => {
  const link = new SerialLink(SPEED);
  assert.equal(link.carry(1000, 50), 1150);
  assert.equal(link.carry(1000, 10), 1160);
  assert.equal(link.carry(1040, 10), 1170);
  assert.equal(link.carry(9000, 50), 9150);
  assert.deepEqual([link.bytes, link.packets], [120, 4]);
});

test('a modem needs 8.9 s for 31,000 bytes in full packets', () => {
  const modem = { bitsPerSecond: 28_800, delayMs: 100 };
  assert.equal(wireLimitSeconds(0, modem), 0);
  assert.equal(wireLimitSeconds(1460, modem), 1500 / 3600);
  assert.equal(wireLimitSeconds(1461, modem), 1541 / 3600);
  assert.equal(wireLimitSeconds(31_000, modem).toFixed(2), '8.86');
});

test('a connection costs three packets, then headers, and an acknowledgement for each second segment', () => {
  const meter = new LineMeter(SPEED);
  const connection = new ModelConnection(meter, 0);
  assert.deepEqual([connection.clientOpenMs, connection.serverOpenMs], [280, 420]);
  const segments = connection.send('client', 320, 3000);
  assert.deepEqual(segments, [
    { atMs: 1920, bytes: 1460 },
    { atMs: 3420, bytes: 1460 },
    { atMs: 3540, bytes: 80 },
  ]);
  const reply = connection.send('server', 3540, 5);
  // Behind the acknowledgement that left at 3420, which is away by then; the reply itself makes the second of two again.
  assert.deepEqual(reply, [{ atMs: 3685, bytes: 5 }]);
  assert.deepEqual(meter.take(), {
    up: { bytes: 80 + 3120 + 40, packets: 6 },
    down: { bytes: 40 + 40 + 45, packets: 3 },
  });
  assert.deepEqual(meter.take().up, { bytes: 0, packets: 0 });
});

test('a meter tells when a client begins, once for each account', async () => {
  const meter = new LineMeter(SPEED);
  const order: string[] = [];
  const started = meter.started().then(() => order.push('started'));
  order.push('asked');
  meter.note();
  await started;
  await meter.started();
  meter.take();
  const again = meter.started().then(() => order.push('again'));
  await Promise.resolve();
  order.push('quiet');
  meter.note();
  await again;
  assert.deepEqual(order, ['asked', 'started', 'quiet', 'again']);
});

test('what is on its way arrives in order, at its time and not before', () => {
  const clock = new ManualClock();
  const arrived: string[] = [];
  const queue = new ArrivalQueue<string>(clock, (thing) => arrived.push(`${thing} ${clock.steadyMs()}`));
  queue.add(10, 'a');
  queue.add(10, 'b');
  queue.add(25.5, 'c');
  clock.advance(9);
  assert.deepEqual(arrived, []);
  clock.advance(10);
  queue.add(30, 'd');
  clock.advance(100);
  queue.add(119, 'e');
  clock.advance(1);
  assert.deepEqual(arrived, ['a 10', 'b 10', 'c 25.5', 'd 30', 'e 119']);
});

test('the checksum of TCP is the one that a kernel makes; other packets stay as they are', () => {
  // A SYN from 127.0.0.1:38272 to port 80 as captured on a wire, checksum 0x52b3.
  const syn = Buffer.from(
    '4500003c1c4640004006b1e6ac100a63ac100a0c95800050000000000000000000a00271100000000204',
    'hex',
  ).subarray(0, 40);
  syn.writeUInt16BE(40, 2);
  syn[32] = 0x50;
  const copy = Buffer.from(syn);
  fillTcpChecksum(syn);
  // Sum of all sixteen-bit words of pseudo header and segment, with the checksum: all ones. RFC 1071.
  let sum = 6 + 20;
  for (let at = 12; at < 40; at += 2) sum += syn.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  assert.equal(sum, 0xffff);
  assert.deepEqual(syn.subarray(0, 36), copy.subarray(0, 36));
  for (const at of [0, 9]) {
    const other = Buffer.from(copy);
    other[at] = 0x60;
    const before = Buffer.from(other);
    fillTcpChecksum(other);
    assert.deepEqual(other, before);
  }
});

test('the list has 1,000 different addresses of about 26 bytes, the same ones each time', () => {
  const { message, recipients } = makeListMail();
  assert.equal(new Set(recipients).size, 1000);
  const mean = recipients.join('').length / 1000;
  assert.ok(mean > 25.5 && mean < 27.5, `${mean}`);
  assert.ok(message.length > 1350 && message.length < 1450, `${message.length}`);
  assert.deepEqual(makeListMail(3).recipients, recipients.slice(0, 3));
});

test('a proxy for a line carries both directions and their ends, and counts', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const pieces: Buffer[] = [];
    socket.on('data', (bytes) => pieces.push(bytes as Buffer));
    socket.on('end', () => socket.end(Buffer.concat(pieces).reverse()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const link = await openProxyLink({ bitsPerSecond: 100_000_000, delayMs: 1 }, 'a test wants it');
  const { host, port } = await link.reach((server.address() as { port: number }).port);
  const sent = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 31) & 255));
  const received: Buffer[] = [];
  const socket: Socket = connect({ host, port, allowHalfOpen: true });
  socket.on('data', (bytes) => received.push(bytes as Buffer));
  socket.end(sent);
  await new Promise((resolve) => socket.on('end', resolve));
  assert.ok(Buffer.concat(received).reverse().equals(sent));
  const { up, down } = await link.take();
  assert.ok(up.bytes >= 10_000 + 9 * 40 && up.bytes < 10_000 + 30 * 40, `${up.bytes}`);
  assert.ok(down.packets >= 8);
  await link.close();
  server.close();
});
