import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../host/manual-clock.ts';
import { AnswerCache } from './answer-cache.ts';

test('an answer is given for its time and no longer, and a new one in its place for the new time', () => {
  const clock = new ManualClock();
  const cache = new AnswerCache<string | undefined>(clock, 10);
  cache.set('a', 'one', 100);
  cache.set('b', undefined, 50);
  clock.advance(49);
  assert.deepEqual(
    [cache.get('a')?.answer, cache.get('b') !== undefined, cache.get('c')],
    ['one', true, undefined],
  );
  clock.advance(1);
  assert.equal(cache.get('b'), undefined);
  cache.set('a', 'two', 100);
  clock.advance(99);
  assert.equal(cache.get('a')?.answer, 'two');
  clock.advance(1);
  assert.equal(cache.get('a'), undefined);
});

test('no more than so many answers are kept, and the oldest go first', () => {
  const cache = new AnswerCache<number>(new ManualClock(), 3);
  for (const [i, key] of [...'abcada'].entries()) cache.set(key, i, 1000);
  assert.deepEqual(
    [...'abcd'].map((key) => cache.get(key)?.answer),
    [5, undefined, 2, 4],
  );
});
