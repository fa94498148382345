import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytesOf,
  concatBytes,
  copyBytes,
  equalBytes,
  findByte,
  findLastByte,
  lowerByte,
  lowerCase,
  startsWith,
  textOf,
  untilNul,
} from './bytes.ts';

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, i) => i);

test('bytesOf() and textOf() are inverse for every byte, whatever the length', () => {
  for (const length of [0, 1, 255, 4095, 4096, 4097, 300_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i % 256);
    assert.equal(textOf(bytes), Buffer.from(bytes).toString('latin1'));
    assert.deepEqual(bytesOf(textOf(bytes)), bytes);
  }
});

test('concatBytes() joins in order and shares no memory', () => {
  const parts = [bytesOf('ab'), bytesOf(''), bytesOf('c')];
  const whole = concatBytes(parts);
  parts[0]![0] = 0;
  assert.equal(textOf(whole), 'abc');
  assert.equal(concatBytes([]).length, 0);
});

test('copyBytes() of a view has the bytes of the view and no memory of it', () => {
  const bytes = bytesOf('abcd');
  const copy = copyBytes(bytes.subarray(1, 3));
  bytes[1] = 0;
  assert.equal(textOf(copy), 'bc');
});

test('equalBytes() compares length and every byte', () => {
  const rows: [string, string, boolean][] = [
    ['', '', true],
    ['abc', 'abc', true],
    ['abc', 'abd', false],
    ['abc', 'ab', false],
    ['ab', 'abc', false],
    ['abc', 'abC', false],
  ];
  for (const [a, b, want] of rows) assert.equal(equalBytes(bytesOf(a), bytesOf(b)), want, `${a} ${b}`);
});

test('lowerByte() and lowerCase() change A to Z and nothing else', () => {
  const want = Uint8Array.from(EVERY_BYTE, (byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));
  assert.deepEqual(Uint8Array.from(EVERY_BYTE, lowerByte), want);
  const given = copyBytes(EVERY_BYTE);
  assert.deepEqual(lowerCase(given), want);
  assert.deepEqual(given, EVERY_BYTE);
});

test('findByte() finds the first from an index on, findLastByte() the last', () => {
  const bytes = bytesOf('a@b@c');
  assert.deepEqual(
    [
      findByte(bytes, 64),
      findByte(bytes, 64, 1),
      findByte(bytes, 64, 2),
      findByte(bytes, 64, 4),
      findByte(bytes, 0),
    ],
    [1, 1, 3, -1, -1],
  );
  assert.deepEqual([findLastByte(bytes, 64), findLastByte(bytes, 97), findLastByte(bytes, 0)], [3, 0, -1]);
  assert.deepEqual([findByte(bytesOf(''), 0), findLastByte(bytesOf(''), 0)], [-1, -1]);
});

test('startsWith() needs the whole prefix', () => {
  const rows: [string, string, boolean][] = [
    ['abc', '', true],
    ['abc', 'ab', true],
    ['abc', 'abc', true],
    ['abc', 'abcd', false],
    ['abc', 'b', false],
  ];
  for (const [bytes, prefix, want] of rows)
    assert.equal(startsWith(bytesOf(bytes), bytesOf(prefix)), want, prefix);
});

test('untilNul() ends before the first NUL', () => {
  const rows: [string, string][] = [
    ['abc', 'abc'],
    ['a\0b\0', 'a'],
    ['\0a', ''],
    ['', ''],
  ];
  for (const [bytes, want] of rows) assert.equal(textOf(untilNul(bytesOf(bytes))), want);
});
