import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from './bytes.ts';
import { LineCutter } from './line-cutter.ts';

function cut(pieces: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const cutter = new LineCutter((line) => lines.push(textOf(line)));
  for (const piece of pieces) {
    cutter.receive(piece);
    piece.fill(88);
  }
  cutter.receiveEnd();
  return lines;
}

test('LineCutter gives the same lines however the text is cut', () => {
  const rows: [string, string[]][] = [
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['\n\na\r\nb\0c\n\nlast', ['', '', 'a\r', 'b\0c', '', 'last']],
  ];
  for (const [text, want] of rows) assert.deepEqual(feedEveryWay(bytesOf(text), cut), want);
});

test('LineCutter takes a line of 4 MB in pieces of 16 bytes as quickly as in large ones', () => {
  const pieces = Array.from({ length: 262_144 }, () => new Uint8Array(16).fill(97));
  assert.deepEqual(
    cut(pieces).map((line) => line.length),
    [4_194_304],
  );
});
