import assert from 'node:assert/strict';
import { test } from 'node:test';
import { YoungBodies } from './young-bodies.ts';

test('bytes are given once, and those of the oldest messages go when there are too many', () => {
  const young = new YoungBodies(20);
  for (const id of [1, 2, 3, 4]) young.keep(id, new Uint8Array(5).fill(id));
  assert.deepEqual([young.take(1)?.[0], young.take(1), young.take(3)?.[0]], [1, undefined, 3]);
  young.keep(5, new Uint8Array(5).fill(5));
  assert.deepEqual(
    [2, 3, 4, 5].map((id) => young.take(id)?.[0]),
    [undefined, undefined, 4, 5],
  );
});

test('a message that is too large for it is not kept, and what is gone makes room in the end', () => {
  const young = new YoungBodies(20);
  young.keep(1, new Uint8Array(10));
  young.keep(2, new Uint8Array(11));
  assert.deepEqual([young.take(2), young.take(1)?.length], [undefined, 10]);
  for (let id = 3; id < 100; id++) {
    young.keep(id, new Uint8Array(7));
    assert.equal(young.take(id)?.length, 7);
  }
});
