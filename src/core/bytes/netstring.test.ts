import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from './bytes.ts';
import { encodeNetstring, netstringLength } from './netstring.ts';

const CASES = [
  { content: '', want: '0:,' },
  { content: 'hello world!', want: '12:hello world!,' },
  { content: 'a\0\xff\n', want: '4:a\0\xff\n,' },
  { content: '123456789', want: '9:123456789,' },
  { content: '1234567890', want: '10:1234567890,' },
];

for (const { content, want } of CASES) {
  test(`encodeNetstring() writes ${JSON.stringify(want)}`, () => {
    assert.equal(textOf(encodeNetstring(bytesOf(content))), want);
  });
  test(`netstringLength() tells the length of ${JSON.stringify(want)}`, () => {
    assert.equal(netstringLength(content.length), want.length);
  });
}
