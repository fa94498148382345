import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { needsQuoting, quoteAddress } from './quote.ts';

const CASES: [string, string][] = [
  ['', ''],
  ['joe', 'joe'],
  ['joe@x.y', 'joe@x.y'],
  ['joe user@x.y', '"joe user"@x.y'],
  ['joe-@h-@[]', '"joe-@h-"@[]'],
  ['#@[]', '#@[]'],
  ['@x.y', '""@x.y'],
  ['.joe@x', '".joe"@x'],
  ['joe.@x', '"joe."@x'],
  ['j..oe@x', '"j..oe"@x'],
  ['j.o.e@x', 'j.o.e@x'],
  ['a"b\\c\r\n@x', '"a\\"b\\\\c\\\r\\\n"@x'],
  ["!#$%&'*+-/=?^_`{|}~aZ09@a b", "!#$%&'*+-/=?^_`{|}~aZ09@a b"],
  ['j\xfc@x', '"j\xfc"@x'],
  ['<>', '"<>"'],
];

for (const [address, quoted] of CASES) {
  test(`quoteAddress() turns ${JSON.stringify(address)} to ${JSON.stringify(quoted)}`, () => {
    assert.equal(textOf(quoteAddress(bytesOf(address))), quoted);
  });
}

test('needsQuoting() refuses every byte that is no letter, digit or atom special', () => {
  let plain = '';
  for (let byte = 0; byte < 256; byte++) {
    if (!needsQuoting(bytesOf(`a${String.fromCharCode(byte)}a`))) plain += String.fromCharCode(byte);
  }
  assert.equal(plain, "!#$%&'*+-./0123456789=?ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~");
});
