import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { WireText } from './wire-text.ts';

function encode(pieces: readonly Uint8Array[], stuffsDots: boolean): { sent: string; isLineOpen: boolean } {
  const wireText = new WireText(stuffsDots);
  const sent = pieces.map((piece) => textOf(wireText.encode(piece))).join('');
  return { sent, isLineOpen: wireText.isLineOpen };
}

test('every line end becomes CR LF, and a dot behind any of them is doubled', () => {
  const rows: [string, string, boolean][] = [
    ['', '', false],
    ['a\n.b\r\n..c\n', 'a\r\n..b\r\n...c\r\n', false],
    ['.\n', '..\r\n', false],
    ['x\r.\ry\n', 'x\r\n..\r\ny\r\n', false],
    ['a\r\r\n\n\rb', 'a\r\n\r\n\r\n\r\nb', true],
    ['a.b\r', 'a.b\r\n', false],
  ];
  for (const [text, sent, isLineOpen] of rows)
    assert.deepEqual(
      feedEveryWay(bytesOf(text), (pieces) => encode(pieces, true)),
      { sent, isLineOpen },
      JSON.stringify(text),
    );
});

test('a receiver finds one end, and before it the text with its line ends made CR LF', () => {
  const text = fc.string({ unit: fc.constantFrom('\r', '\n', '.', 'a', '\0'), maxLength: 12 });
  fc.assert(
    fc.property(text, (stored) => {
      const wanted = stored.replace(/\r\n|\r|\n/g, '\r\n');
      assert.equal(encode([bytesOf(stored)], false).sent, wanted);
      const { sent, isLineOpen } = encode([bytesOf(stored)], true);
      assert.equal(isLineOpen, wanted !== '' && !wanted.endsWith('\r\n'));
      assert.doesNotMatch(sent, /\r(?!\n)|(?<!\r)\n/);
      const wire = `\r\n${sent}${isLineOpen ? '\r\n' : ''}.\r\n`;
      assert.equal(wire.indexOf('\r\n.\r\n'), wire.length - 5);
      assert.equal(sent.replace(/(^|\r\n)\./g, '$1'), wanted);
    }),
    { numRuns: 2000 },
  );
});
