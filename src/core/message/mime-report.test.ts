import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { headerOf } from './mime-report.ts';

for (const [message, header] of [
  ['A: b\nC: d\n\nbody\n', 'A: b\nC: d\n'],
  ['A: b\r\nC: d\r\n\r\nbody\r\n', 'A: b\r\nC: d\r\n'],
  ['\nbody', ''],
  ['\r\nbody', ''],
  ['A: b\n', 'A: b\n'],
  ['A: b', 'A: b'],
  ['', ''],
  [`A: b\n${'x'.repeat(70_000)}\n\nbody`, 'A: b\n'],
  ['x'.repeat(70_000), ''],
] as const) {
  test(`headerOf() of ${JSON.stringify(message.slice(0, 30))}`, () =>
    assert.equal(textOf(headerOf(bytesOf(message))), header));
}
