import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { parseDomainSet } from '../format/domain-map.ts';
import { isSenderBad } from './badmailfrom.ts';

const LIST = parseDomainSet([bytesOf('spam@bad.example'), bytesOf('@worse.example'), bytesOf('@')]);

const CASES: [string, boolean][] = [
  ['spam@bad.example', true],
  ['SPAM@BAD.example', true],
  ['ok@bad.example', false],
  ['x@worse.example', true],
  ['x@y@WORSE.example', true],
  ['x@sub.worse.example', false],
  ['worse.example', false],
  ['user@', true],
  ['', false],
];

for (const [sender, want] of CASES) {
  test(`isSenderBad() finds "${sender}" ${want ? 'bad' : 'good'}`, () => {
    assert.equal(isSenderBad(bytesOf(sender), LIST), want);
  });
}
