import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { fieldName, HeaderSplitter, isFieldNamed } from './header-field.ts';

/** Fields and body of a message that comes in pieces that end at the given places. */
function split(message: string, cuts: readonly number[]): { fields: string[]; body: string } {
  const fields: string[] = [];
  const splitter = new HeaderSplitter((field) => fields.push(textOf(field)));
  let body = '';
  let from = 0;
  for (const cut of [...cuts, message.length]) {
    const chunk = bytesOf(message.slice(from, cut));
    const isHeader = splitter.bodyStart === undefined;
    const rest = chunk.subarray(isHeader ? splitter.receive(chunk) : 0);
    if (isHeader && splitter.bodyStart !== undefined) body += textOf(splitter.bodyStart);
    body += textOf(rest);
    // The caller uses its buffer again.
    chunk.fill(33);
    from = cut;
  }
  if (splitter.bodyStart === undefined) {
    splitter.receiveEnd();
    body += textOf(splitter.bodyStart ?? bytesOf('no end'));
  }
  return { fields, body };
}

const CASES: [string, string, string[], string][] = [
  ['nothing', '', [], ''],
  ['a body with no header', 'Hello\nx', [], '\nHello\nx'],
  ['header and body', 'To: a\n\nb', ['To: a\n'], '\nb'],
  ['a header that ends with the input', 'To: a\nCc: b', ['To: a\n', 'Cc: b\n'], ''],
  ['an unterminated line that is no field', 'To: a\nb', ['To: a\n'], '\nb\n'],
  ['an unterminated continuation', 'To: a\n b', ['To: a\n b\n'], ''],
  ['CR LF before the body', 'S: s\r\n\r\nb\r\n', ['S: s\r\n'], '\n\r\nb\r\n'],
  ['blank continuation lines', 'To: a\n \n\t\nS: s\n', ['To: a\n \n\t\n', 'S: s\n'], ''],
  ['a blank first line', ' To: a\n', [], '\n To: a\n'],
  [
    'an mbox line',
    'From joe\n x\nTo: a\nFrom : b\n',
    ['MBOX-Line: From joe\n x\n', 'To: a\n', 'MBOX-Line: From : b\n'],
    '',
  ],
  ['From and tab', 'From\t: b\n', ['From\t: b\n'], ''],
  ['no name', ': x\n', [], '\n: x\n'],
  ['only blanks before the colon', 'A: b\n\n : x\n', ['A: b\n'], '\n : x\n'],
  ['a name of two words', 'X Y: z\n', [], '\nX Y: z\n'],
  ['a quoted mbox line', '>From x y: z\n', [], '\n>From x y: z\n'],
  ['an 8-bit name', 'J\xfc: z\n', [], '\nJ\xfc: z\n'],
  ['a byte order mark', '\xef\xbb\xbfTo: a\n', [], '\n\xef\xbb\xbfTo: a\n'],
  ['a name with DEL', 'A\x7f: z\n', [], '\nA\x7f: z\n'],
  ['blanks before the colon', '~! \t : z\n', ['~! \t : z\n'], ''],
  ['NUL and CR in a value', 'A: \0\r\n', ['A: \0\r\n'], ''],
];

for (const [name, message, fields, body] of CASES) {
  test(`HeaderSplitter takes ${name}, however it is cut`, () => {
    const want = { fields, body };
    assert.deepEqual(split(message, []), want);
    const everyByte = Array.from({ length: message.length }, (_, i) => i + 1);
    assert.deepEqual(split(message, everyByte), want);
    for (const cut of everyByte) assert.deepEqual(split(message, [cut]), want);
  });
}

test('fieldName() knows names in any case and with blanks before the colon', () => {
  assert.equal(fieldName(bytesOf('rEsEnT-mEsSaGe-Id \t: x\n')), 'resent-message-id');
  assert.equal(fieldName(bytesOf('To:\n')), 'to');
});

test('fieldName() knows no other name', () => {
  for (const name of ['Subject', 'Too', 'T', 'Mail-Reply-To', 'constructor', '__proto__', 'X'.repeat(100)]) {
    assert.equal(fieldName(bytesOf(`${name}: x\n`)), undefined);
  }
});

test('isFieldNamed() ignores case and blanks before the colon, and takes no part of a name', () => {
  assert.equal(isFieldNamed(bytesOf('RETURN-path \t: x\n'), 'return-path'), true);
  assert.equal(isFieldNamed(bytesOf('Return-Pathx: x\n'), 'return-path'), false);
  assert.equal(isFieldNamed(bytesOf('Return-Pat: h\n'), 'return-path'), false);
});
