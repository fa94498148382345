// Compressed requests: what goes out, in which chunks, and what happens when the message cannot be read to its end.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { compressRequest } from './qmqp-gzip.ts';
import { type RequestPiece, readPieces } from './request-source.ts';

/** Bytes that do not compress, the same each time. */
function noise(length: number): Buffer {
  const hash = createHash('shake256', { outputLength: length });
  return hash.update('seed').digest();
}

async function chunksOf(request: readonly RequestPiece[]): Promise<Buffer[]> {
  const source = compressRequest(readPieces(request));
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = await source.next();
    if (chunk === undefined) return chunks;
    chunks.push(Buffer.from(chunk));
  }
}

test('a small request is one chunk, a gzip stream without optional fields', async () => {
  const addresses = Array.from({ length: 1000 }, (_, i) => `20:user${i + 1000}@host.example,`).join('');
  const [chunk, ...others] = await chunksOf([Buffer.from('31:8:message'), Buffer.from(addresses)]);
  assert.deepEqual(others, []);
  assert.deepEqual([...chunk!.subarray(0, 4)], [0x1f, 0x8b, 8, 0]);
  assert.equal(gunzipSync(chunk!).toString(), `31:8:message${addresses}`);
  assert.ok(chunk!.length < addresses.length / 5, `${chunk!.length}`);
});

test('a large request goes out in chunks of 64 KB, each asked for when there is use for it', async () => {
  const stored = noise(1 << 20);
  let read = 0;
  const piece = {
    length: stored.length,
    read: async (from: number, length: number) => {
      read = from + length;
      return stored.subarray(from, from + length);
    },
  };
  const source = compressRequest(readPieces([Buffer.from('head'), piece, Buffer.from('tail')]));
  const first = await source.next();
  assert.ok(read <= 4 * 65_536, `${read} bytes read for the first chunk`);
  const chunks = [first!];
  for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) chunks.push(chunk);
  for (const chunk of chunks.slice(0, -1)) assert.equal(chunk.length, 65_536);
  assert.ok(
    gunzipSync(Buffer.concat(chunks)).equals(
      Buffer.concat([Buffer.from('head'), stored, Buffer.from('tail')]),
    ),
  );
});

test('without its last chunk a stream has no end', async () => {
  for (const length of [0, 1, 65_500, 65_536, 131_000, 200_000]) {
    const chunks = await chunksOf([noise(length)]);
    assert.equal(gunzipSync(Buffer.concat(chunks)).length, length);
    assert.throws(() => gunzipSync(Buffer.concat(chunks.slice(0, -1))), { code: 'Z_BUF_ERROR' }, `${length}`);
  }
});

test('a message that cannot be read to its end gives no end of a stream', async () => {
  const piece = { length: 100_000, read: () => Promise.reject(new Error('gone')) };
  const source = compressRequest(readPieces([Buffer.from('head'), piece]));
  await assert.rejects(async () => source.next(), /^Error: gone$/);
});
