// Unpacking of requests: fed in every way, damaged in every way, and made to cost more than they may.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { GzipFault, gunzipRequest } from './request-gunzip.ts';

/** Compresses to little, and has much that does not compress. */
const REQUEST = Buffer.concat([
  Buffer.from('12:hello hello,'.repeat(20)),
  ...Array.from({ length: 8 }, (_, i) => createHash('sha256').update(`${i}`).digest()),
]);
const PACKED = gzipSync(REQUEST, { level: 9 });

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield piece;
}

async function unpack(pieces: readonly Uint8Array[], sizeMax = 100_000): Promise<string> {
  const unpacked: Uint8Array[] = [];
  for await (const piece of gunzipRequest(each(pieces), sizeMax)) unpacked.push(piece);
  return Buffer.concat(unpacked).toString('latin1');
}

function cutAt(bytes: Uint8Array, at: number): Uint8Array[] {
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

async function assertFault(bytes: Uint8Array, reason: RegExp, sizeMax?: number): Promise<void> {
  const isFault = (error: Error) => error instanceof GzipFault && reason.test(error.message);
  await assert.rejects(unpack([bytes], sizeMax), isFault);
}

test('a request is the same however its packed bytes are cut, and what follows the stream is ignored', async () => {
  const whole = REQUEST.toString('latin1');
  const followed = Buffer.concat([PACKED, PACKED, Buffer.from('garbage')]);
  for (let at = 1; at < PACKED.length + 10; at++)
    assert.equal(await unpack(cutAt(followed, at)), whole, `cut at ${at}`);
  assert.equal(await unpack(Array.from(PACKED, (byte) => Uint8Array.of(byte))), whole, 'byte by byte');
  assert.equal(await unpack([PACKED]), whole);
  assert.equal(await unpack([gzipSync('')]), '');
  assert.equal(await unpack([gzipSync(REQUEST, { level: 0 })]), whole);
});

test('a stream that is cut off anywhere has an early end', async () => {
  for (let length = 0; length < PACKED.length; length++)
    await assertFault(PACKED.subarray(0, length), /^early end of a gzip stream$/);
});

test('no damage to one byte gives another request', async () => {
  const whole = REQUEST.toString('latin1');
  for (let at = 0; at < PACKED.length; at++) {
    const damaged = Buffer.from(PACKED);
    damaged[at]! ^= 1 << (at % 8);
    const isUseless = at >= 4 && at < 10;
    if (isUseless) assert.equal(await unpack([damaged]), whole, `time or system at ${at}`);
    else await assert.rejects(unpack([damaged]), GzipFault, `byte ${at}`);
  }
});

test('the fault says what is wrong', async () => {
  const withName = Buffer.from(PACKED);
  withName[3] = 8;
  await assertFault(withName, /^bad gzip header$/);
  await assertFault(Buffer.concat([PACKED.subarray(0, 10), Buffer.alloc(30, 0xff)]), /^damaged gzip stream$/);
  const wrong = Buffer.from(PACKED);
  wrong.writeUInt32LE(crc32(REQUEST) ^ 1, wrong.length - 8);
  await assertFault(wrong, /^wrong check value of a gzip stream$/);
  wrong.writeUInt32LE(crc32(REQUEST), wrong.length - 8);
  wrong.writeUInt32LE(REQUEST.length + 1, wrong.length - 4);
  await assertFault(wrong, /^wrong length of a gzip stream$/);
});

test('a stream may have the bytes that it may have, and not one more', async () => {
  assert.equal((await unpack([PACKED], REQUEST.length)).length, REQUEST.length);
  await assertFault(PACKED, /^more than 555 bytes in a gzip stream$/, REQUEST.length - 1);
});

test('a gigabyte of zeros in a megabyte is unpacked to the limit and no further', async () => {
  // The packed form of 64 MB of zeros without an end, sixteen times.
  const part = deflateRawSync(Buffer.alloc(1 << 26), { finishFlush: 2 });
  const bomb = [PACKED.subarray(0, 10), ...Array.from({ length: 16 }, () => part)];
  let asked = 0;
  async function* counted() {
    for (const piece of bomb) {
      asked++;
      yield piece;
    }
  }
  let size = 0;
  await assert.rejects(async () => {
    for await (const piece of gunzipRequest(counted(), 1 << 20)) size += piece.length;
  }, /^Error: more than 1048576 bytes in a gzip stream$/);
  assert.ok(size <= 1 << 20);
  assert.equal(asked, 2);
});
