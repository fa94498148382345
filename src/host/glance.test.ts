import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GLANCE_MS, glance } from './glance.ts';

test('glance() looks again after a second, when the clock was set back, and when the last look failed', () => {
  let nowMs = 1_000_000;
  let looks = 0;
  let fails = false;
  const see = glance({ nowMs: () => nowMs }, () => {
    if (fails) throw new Error('Cannot look');
    return ++looks;
  });
  assert.equal(see(), 1);
  nowMs += GLANCE_MS - 1;
  assert.equal(see(), 1);
  nowMs += 1;
  assert.equal(see(), 2);
  nowMs -= 86_400_000;
  assert.equal(see(), 3);
  fails = true;
  assert.equal(see(), 3);
  nowMs += GLANCE_MS;
  assert.throws(see, /Cannot look/);
  fails = false;
  assert.equal(see(), 4);
});
