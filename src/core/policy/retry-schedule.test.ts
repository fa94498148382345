import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDying, nextAttemptByMs, nextAttemptMs } from './retry-schedule.ts';

const BIRTH = 1_790_000_000_000;

function prompt(channel: 'local' | 'remote', tries: number): number[] {
  const times: number[] = [];
  for (let at = BIRTH; times.length < tries; times.push((at - BIRTH) / 1000))
    at = nextAttemptMs(BIRTH, at, channel);
  return times;
}

test('nextAttemptMs() gives the squares when every attempt is prompt', () => {
  assert.deepEqual(
    prompt('local', 78),
    Array.from({ length: 78 }, (_, i) => (10 * (i + 1)) ** 2),
  );
  assert.deepEqual(
    prompt('remote', 39),
    Array.from({ length: 39 }, (_, i) => (20 * (i + 1)) ** 2),
  );
});

for (const [startSeconds, local, remote] of [
  [0, 100, 400],
  [1, 121, 441],
  [3.999, 121, 441],
  [29, 225, 625],
  [-59, 100, 400],
  [-500, 1200, 3100],
  [608_400, 624_100, 640_000],
] as const) {
  test(`nextAttemptMs() of an attempt ${startSeconds} s after birth`, () => {
    assert.equal(nextAttemptMs(BIRTH, BIRTH + startSeconds * 1000, 'local'), BIRTH + local * 1000);
    assert.equal(nextAttemptMs(BIRTH, BIRTH + startSeconds * 1000, 'remote'), BIRTH + remote * 1000);
  });
}

test('nextAttemptMs() takes integer roots exactly at squares', () => {
  for (let root = 1; root < 2000; root++) {
    const at = (seconds: number) => (nextAttemptMs(0, seconds * 1000, 'local') / 1000) ** 0.5 - 10;
    assert.equal(at(root * root), root);
    assert.equal(at(root * root - 1), root - 1);
  }
});

test('isDying() is true only when more than the lifetime has passed', () => {
  assert.equal(isDying(BIRTH, BIRTH + 604_800_000, 604_800), false);
  assert.equal(isDying(BIRTH, BIRTH + 604_801_000, 604_800), true);
  assert.equal(isDying(BIRTH + 100, BIRTH + 900, 0), false);
  assert.equal(isDying(BIRTH + 900, BIRTH + 1000, 0), true);
});

for (const [startSeconds, next] of [
  [0, 60],
  [59.999, 60],
  [60, 360],
  [359, 360],
  [360, 1260],
  [1260, 2160],
  [1261, 2160],
  [9359, 9360],
  [9360, 10_260],
] as const) {
  test(`nextAttemptByMs() of an attempt ${startSeconds} s after birth`, () =>
    assert.equal(nextAttemptByMs(BIRTH, BIRTH + startSeconds * 1000, [60, 300, 900]), BIRTH + next * 1000));
}

test('nextAttemptByMs() is later than the attempt even if the clock went back before birth', () =>
  assert.equal(nextAttemptByMs(BIRTH, BIRTH - 5000, [60]), BIRTH + 60_000));
