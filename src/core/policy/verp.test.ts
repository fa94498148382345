import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { expandVerp, isVerp, withoutVerp } from './verp.ts';

for (const [sender, recipient, want] of [
  ['owner-@host-@[]', 'ann@far.example', 'owner-ann=far.example@host'],
  ['owner-@host-@[]', 'a@b@far.example', 'owner-a@b=far.example@host'],
  ['owner-@host-@[]', 'noat', 'owner-@host-@[]'],
  ['owner-@[]', 'ann@far.example', 'owner-@[]'],
  ['-@[]', 'ann@far.example', '-@[]'],
  ['owner@host', 'ann@far.example', 'owner@host'],
  ['', 'ann@far.example', ''],
  ['#@[]', 'ann@far.example', '#@[]'],
] as const) {
  test(`expandVerp() of <${sender}> for <${recipient}> is <${want}>`, () => {
    assert.equal(textOf(expandVerp(bytesOf(sender), bytesOf(recipient))), want);
  });
}

test('withoutVerp() takes the mark off', () => {
  assert.equal(textOf(withoutVerp(bytesOf('owner-@host-@[]'))), 'owner-@host');
  assert.equal(textOf(withoutVerp(bytesOf('owner-@host'))), 'owner-@host');
  assert.equal(isVerp(bytesOf('@[]')), false);
});
