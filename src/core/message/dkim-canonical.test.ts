import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { canonicalFields, HeaderDivider, joinFields, RelaxedBody } from './dkim-canonical.ts';

function relax(pieces: readonly Uint8Array[]): string {
  const body = new RelaxedBody();
  return pieces.map((piece) => textOf(body.receive(piece))).join('') + textOf(body.receiveEnd());
}

test('a body loses blanks at line ends and empty lines at its end, and nothing else', () => {
  const rows: [string, string][] = [
    ['', ''],
    ['\r\n\r\n', ''],
    [' \t\r\n', ''],
    [' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
    ['\r\n\r\na\r\n\r\n \r\n\tb', '\r\n\r\na\r\n\r\n\r\n b\r\n'],
    ['a\r\n\r\n\r\n\r\nb\r\n', 'a\r\n\r\n\r\n\r\nb\r\n'],
    ['x  ', 'x\r\n'],
    ['\xff\0.\r\n', '\xff\0.\r\n'],
  ];
  for (const [text, wanted] of rows)
    assert.equal(feedEveryWay(bytesOf(text), relax), wanted, JSON.stringify(text));
});

test('header fields are in lower case, on one line, and have single blanks', () => {
  const header = 'A: X\r\nB : Y\t\r\n\tZ  \r\nno field\r\nSuBject:\r\n  long \r\n\t line\r\nE:\r\n';
  const fields = canonicalFields(bytesOf(header));
  assert.equal(
    textOf(joinFields(fields.map(({ bytes }) => bytes))),
    'a:X\r\nb:Y Z\r\nsubject:long line\r\ne:\r\n',
  );
  assert.deepEqual(
    fields.map(({ name }) => name),
    ['a', 'b', 'subject', 'e'],
  );
});

test('a header ends at the first empty line', () => {
  const rows: [string, string, string][] = [
    ['A: b\r\nC: d\r\n\r\nbody\r\n\r\n', 'A: b\r\nC: d\r\n', 'body\r\n\r\n'],
    ['\r\nbody', '', 'body'],
    ['A: b\r\n', 'A: b\r\n', ''],
    ['A: b', 'A: b', ''],
    ['', '', ''],
  ];
  for (const [text, header, body] of rows) {
    const divided = feedEveryWay(bytesOf(text), (pieces) => {
      const divider = new HeaderDivider();
      const rest = pieces.map((piece) => textOf(divider.receive(piece))).join('');
      return [textOf(divider.header), rest];
    });
    assert.deepEqual(divided, [header, body], JSON.stringify(text));
  }
});
