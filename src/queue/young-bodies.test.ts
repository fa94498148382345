import assert from 'node:assert/strict';
import { test } from 'node:test';
import { YoungBodies } from './young-bodies.ts';

test('bytes are given once, and those of the oldest messages go when there are too many', () => {
  const young = new YoungBodies(10);
  for (const id of [1, 2, 3]) young.keep(id, new Uint8Array(5).fill(id));
  assert.deepEqual([young.take(1), young.take(2)?.[0], young.take(2)], [undefined, 2, undefined]);
  young.keep(4, new Uint8Array(5));
  assert.equal(young.take(3)?.[0], 3);
  young.keep(5, new Uint8Array(11));
  assert.deepEqual([young.take(4), young.take(5)], [undefined, undefined]);
  young.keep(6, new Uint8Array(10));
  assert.equal(young.take(6)?.length, 10);
});
