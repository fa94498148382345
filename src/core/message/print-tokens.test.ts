import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { printTokens } from './print-tokens.ts';
import { parseTokens, TokenList } from './tokens.ts';

function reprint(field: string): string {
  const tokens = parseTokens(bytesOf(field))!;
  const target = new ByteBuffer();
  target.appendText('something before it');
  const start = target.length;
  printTokens(target, tokens);
  const printed = textOf(target.toBytes().subarray(start));

  const reversed = new TokenList();
  reversed.appendReversed(tokens);
  target.clear();
  printTokens(target, reversed, true);
  assert.equal(textOf(target.view()), printed);
  return printed;
}

const CASES: [string, string][] = [
  ['To: J. R. R. Tolkien <j@x.y>\n', 'To: J.R.R.Tolkien <j@x.y>\n'],
  ['To: Joe Q. <joe@x.y>\n', 'To: Joe Q. <joe@x.y>\n'],
  ['To: (a) Joe (b) <(c) joe (d) @ (e) x.y (f)> (g)\n', 'To: (a) Joe (b) <(c) joe (d)@(e) x.y (f)>(g)\n'],
  ['To: "Joe (Work) [x]" <joe@x.y>\n', 'To: "Joe \\(Work\\) \\[x\\]" <joe@x.y>\n'],
  ['To: joe@x.y (d "q" [l])\n', 'To: joe@x.y (d \\"q\\" \\[l\\])\n'],
  ['To: bob@x.y (Bob\r\n\tJ)\n', 'To: bob@x.y (Bob\\\r\\\n\tJ)\n'],
  ['To: J\xfc M\xfc <j@x.y>\n', 'To: "J\xfc" "M\xfc" <j@x.y>\n'],
  ['To: a\\[b@x.y, a\\"b@x.y\n', 'To: a\\[b@x.y, a\\"b@x.y\n'],
  ['tO \t :x@y.z\n', 'tO: x@y.z\n'],
  ['To:   \n', 'To:\n'],
  ['To: a,b;c:d<e>f\n', 'To: a, b;c: d <e>f\n'],
  ['To: ,,\n', 'To: , ,\n'],
];

for (const [field, want] of CASES) {
  test(`printTokens() prints ${JSON.stringify(field)}`, () => assert.equal(reprint(field), want));
}

const x = (count: number) => 'x'.repeat(count);

const FOLDED: [string, string, string][] = [
  ['keeps a line of 78 bytes with its comma', `To: a@b,${x(68)},c\n`, `To: a@b, ${x(68)},\n  c\n`],
  ['begins a line where 79 bytes would be', `To: a@b,${x(69)},c\n`, `To: a@b,\n  ${x(69)}, c\n`],
  ['never folds before the first comma', `To: ${x(100)}\n`, `To: ${x(100)}\n`],
  [
    'counts the two spaces of a continuation',
    `To: ${x(90)},${x(70)},${x(3)},y\n`,
    `To: ${x(90)},\n  ${x(70)}, ${x(3)},\n  y\n`,
  ],
  [
    'ends a long line after a comma with a line of one space',
    `To: ${x(76)}@e.f,\n`,
    `To: ${x(76)}@e.f,\n \n`,
  ],
  ['ends a short line after a comma as it is', `To: ${x(73)},\n`, `To: ${x(73)},\n`],
  [
    'does not count anew after an LF in a string',
    `To: "a\n${x(70)}",${x(5)}\n`,
    `To: "a\\\n${x(70)}",\n  ${x(5)}\n`,
  ],
];

for (const [name, field, want] of FOLDED) {
  test(`printTokens() ${name}`, () => assert.equal(reprint(field), want));
}
