import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { appendEnvelopeForm, parseTokens } from './tokens.ts';

/** Tokens as text: kind letter and content, `a:joe @ a:host`. */
function show(text: string): string {
  const tokens = parseTokens(bytesOf(text));
  if (tokens === undefined) return 'unparsable';
  const words: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const kind = String.fromCharCode(tokens.kind(i));
    let content = '';
    for (let at = tokens.startOf(i); at < tokens.endOf(i); at++)
      content += String.fromCharCode(tokens.byteAt(at));
    words.push('a"[('.includes(kind) ? `${kind}:${content}` : kind);
  }
  return words.join(' ');
}

const CASES: [string, string, string][] = [
  ['one-byte tokens', '.,@<>:;', '. , @ < > : ;'],
  ['blanks of every kind', ' \t\r\na\n b', 'a:a a:b'],
  ['nested comments without their inner parentheses', '(a (b (c)) d)', '(:a b c d'],
  ['a backslash in a comment', '(a\\)b\\(c\\\\)', '(:a)b(c\\'],
  ['a backslash in a quoted string', '"a\\"b\\\\"', '":a"b\\'],
  ['a literal that does not nest', '[a[b]', '[:a[b'],
  ['a backslash in a literal', '[a\\]b]', '[:a]b'],
  ['empty contents', '""[]()', '": [: (:'],
  ['an atom that ) and ] do not end, as a quoted string', 'a)b]c', '":a)b]c'],
  ['an atom up to a quote', 'a"b"', 'a:a ":b'],
  ['an 8-bit atom as a quoted string', 'J\xfc', '":J\xfc'],
  ['a NUL in an atom as a quoted string', 'a\0b', '":a\0b'],
  ['DEL in an atom as a quoted string', 'a\x7fb', '":a\x7fb'],
  ['specials after a backslash as an atom', 'a\\@\\,\\"\\(\\[\\ b', 'a:a@,"([ b'],
  ['an escaped backslash as a quoted string', 'a\\\\b', '":a\\b'],
  ['a backslash before LF', 'a\\\n', '":a\n'],
  ['a backslash at the very end', 'a\\', 'a:a'],
  ['only a backslash', '\\', 'a:'],
  ['a closing parenthesis', 'a )', 'unparsable'],
  ['a closing bracket', ']', 'unparsable'],
  ['an endless comment', '(a(b)', 'unparsable'],
  ['an endless quoted string', '"a', 'unparsable'],
  ['an endless literal', '[a', 'unparsable'],
  ['a quoted string that ends in a backslash', '"a\\', 'unparsable'],
];

for (const [name, text, want] of CASES) {
  test(`parseTokens() reads ${name}`, () => assert.equal(show(text), want));
}

test('appendEnvelopeForm() drops quotes and comments and keeps brackets', () => {
  const tokens = parseTokens(bytesOf('"joe \\"user"(x)@[1.2]'));
  assert.ok(tokens);
  const target = new ByteBuffer();
  assert.equal(appendEnvelopeForm(target, tokens), true);
  assert.equal(textOf(target.toBytes()), 'joe "user@[1.2]');
});

test('appendEnvelopeForm() ends at a NUL and says so', () => {
  const target = new ByteBuffer();
  assert.equal(appendEnvelopeForm(target, parseTokens(bytesOf('"a\0b"@x'))!), false);
  assert.equal(textOf(target.toBytes()), 'a');
});

test('parseTokens() takes a comment nested a million deep', () => {
  const depth = 1000000;
  const tokens = parseTokens(bytesOf(`${'('.repeat(depth)}x${')'.repeat(depth)}`));
  assert.equal(tokens?.length, 1);
  assert.equal(parseTokens(bytesOf('('.repeat(depth))), undefined);
});
