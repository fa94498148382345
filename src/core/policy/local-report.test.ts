import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutReport, outcomeOfLocal } from './local-report.ts';

test('exit codes of qmail-local decide, with what it printed', () => {
  const letters = [0, 100, 111, 71, 74, 75, 1, 64, 99, 127, 255].map((exit) => outcomeOfLocal(exit, 'x\n'));
  assert.deepEqual(
    letters.map(({ letter, text }) => letter + text),
    'K D Z Z Z Z D D D D D'.split(' ').map((letter) => `${letter}x\n`),
  );
});

test('exit codes from before qmail-local have texts of their own, and are all temporary', () => {
  for (const exit of [112, 113, 115, 116, 117, 118, 119, 120, 121, 126]) {
    const { letter, text } = outcomeOfLocal(exit, 'x\n');
    assert.equal(letter, 'Z');
    assert.match(text, /^[A-Z].*[.!]\n$/);
  }
  assert.deepEqual(outcomeOfLocal('crashed', 'x\n'), { letter: 'Z', text: 'qmail-local crashed.\n' });
});

test('a report has 3000 bytes at most and ends at its first NUL', () => {
  assert.equal(cutReport('a'.repeat(3000)).length, 3000);
  assert.equal(cutReport('a'.repeat(3001)), `${'a'.repeat(2966)}\nError report too long, sorry.\n`);
  assert.equal(cutReport(`ab\0${'c'.repeat(9000)}`), 'ab');
});
