import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clearTimeouts,
  findTcptoRecord,
  isTimedOut,
  listTimeouts,
  noteTimeout,
  TCPTO_BYTES,
} from './tcpto.ts';

const ip = (last: number) => Uint8Array.of(192, 0, 2, last);

test('two timeouts more than two minutes apart put an address aside, for a time that depends on who asks', () => {
  const table = new Uint8Array(TCPTO_BYTES);
  const aside = (nowSeconds: number, pid: number) => isTimedOut(table, ip(1), { nowSeconds, pid });
  assert.equal(noteTimeout(table, ip(1), 1000), 0);
  assert.equal(noteTimeout(table, ip(1), 1119), -1);
  assert.equal(aside(1120, 0), false);
  assert.equal(noteTimeout(table, ip(1), 1120), 0);
  assert.deepEqual(
    [aside(1120 + 3839, 0), aside(1120 + 3840, 0), aside(1120 + 5823, 31)],
    [true, false, true],
  );
  assert.equal(isTimedOut(table, ip(2), { nowSeconds: 1121, pid: 0 }), false);
  assert.equal(clearTimeouts(table, ip(1)), 0);
  assert.deepEqual([aside(1121, 0), listTimeouts(table)], [false, []]);
  assert.equal(clearTimeouts(table, ip(2)), -1);
});

test('a record has its bytes where the original has them, and counts to ten', () => {
  const table = new Uint8Array(32);
  for (let i = 0; i < 12; i++) noteTimeout(table, ip(7), 0x12345678 + i * 120);
  const when = 0x12345678 + 11 * 120;
  assert.deepEqual(
    [...table.subarray(0, 16)],
    [192, 0, 2, 7, 10, 0, 0, 0, when & 255, (when >> 8) & 255, (when >> 16) & 255, when >> 24, 0, 0, 0, 0],
  );
  assert.deepEqual(listTimeouts(table), [{ ip: ip(7), count: 10, whenSeconds: when }]);
});

test('when the table is full, the address with the oldest and fewest timeouts makes room', () => {
  const table = new Uint8Array(TCPTO_BYTES);
  for (let i = 0; i < 64; i++) assert.equal(noteTimeout(table, ip(i), 10_000 + i), i * 16);
  noteTimeout(table, ip(0), 10_200);
  assert.equal(noteTimeout(table, ip(99), 10_300), 16);
  assert.deepEqual([findTcptoRecord(table, ip(1)), findTcptoRecord(table, ip(99))], [-1, 16]);
  assert.equal(noteTimeout(new Uint8Array(15), ip(1), 1), -1);
});
