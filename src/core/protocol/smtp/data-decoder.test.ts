import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { type Decoded, decode } from '../../../../test/support/smtp-data.ts';
import { bytesOf } from '../../bytes/bytes.ts';
import type { BareCrTreatment } from './data-decoder.ts';

const everyWay = (text: string, sizeMax = 0, bareCr: BareCrTreatment = 'keep'): Decoded =>
  feedEveryWay(bytesOf(text), (pieces) => decode(pieces, sizeMax, bareCr));

/** What comes, and what it is: the text, then what follows the end, if there is one. */
const CASES: [string, string, string | undefined][] = [
  ['.\r\n', '', ''],
  ['a\r\n.\r\nQUIT\r\n', 'a\n', 'QUIT\r\n'],
  ['\r\n\r\n.\r\n', '\n\n', ''],
  ['..\r\n.\r\n', '.\n', ''],
  ['.a\r\n..b\r\na.\r\n.\r\n', 'a\n.b\na.\n', ''],
  ['a\rb\r\n.\r\n', 'a\rb\n', ''],
  ['a\r\r\n.\r\n', 'a\r\n', ''],
  ['.\r\r\n.\r\n', '.\r\n', ''],
  ['.\r.\r\n.\r\n', '.\r.\n', ''],
  ['.\rx\r\n.\r\n', '.\rx\n', ''],
  ['\r.\r\n.\r\n', '\r.\n', ''],
  ['a\0\xff\r\n.\0\r\n.\r\n', 'a\0\xff\n\0\n', ''],
  ['a', 'a', undefined],
  ['a\r', 'a', undefined],
  ['.', '', undefined],
  ['.\r', '', undefined],
  ['a\r\n.\r', 'a\n', undefined],
];

for (const [sent, text, rest] of CASES) {
  test(`DataDecoder decodes ${JSON.stringify(sent)}`, () => {
    const state = rest === undefined ? 'more' : 'end';
    assert.deepEqual(everyWay(sent), { state, text, rest: rest ?? '', flags: '' });
  });
}

for (const [sent, text] of [
  ['\n', ''],
  ['a\n', 'a'],
  ['.\n', ''],
  ['\r\n.\n', '\n'],
  ['a\r\n\n', 'a\n'],
] as const) {
  test(`DataDecoder stops at the LF without CR of ${JSON.stringify(sent)}`, () => {
    assert.deepEqual(everyWay(`${sent}x`), { state: 'stray-lf', text, rest: 'x', flags: '' });
  });
}

test('DataDecoder turns bare CRs to spaces, or only tells, as it is asked', () => {
  const sent = 'a\rb\r\r\n.\r.\r\n.\r\n';
  assert.deepEqual(everyWay(sent, 0, 'space'), { state: 'end', text: 'a b \n. .\n', rest: '', flags: '' });
  assert.deepEqual(everyWay(sent, 0, 'reject').flags, 'cr');
  assert.deepEqual(everyWay('a\r\n.\r\n', 0, 'reject').flags, '');
});

test('DataDecoder takes as many bytes as are allowed, counted after decoding, and gives no more of a larger message', () => {
  assert.deepEqual(everyWay('..345678\r\n.\r\n', 8), {
    state: 'end',
    text: '.345678\n',
    rest: '',
    flags: '',
  });
  const large = { state: 'end', text: '12345678', rest: 'x', flags: 'large' };
  assert.deepEqual(everyWay('12345678\r\nmore\r\n.\r\nx', 8), large);
});

const lines = (count: number, line: string) => `${line}\r\n`.repeat(count);

for (const [name, message, want] of [
  ['99 fields', lines(99, 'Received: x'), ''],
  ['100 fields', lines(100, 'Received: x'), 'hops'],
  ['fields of both names', lines(50, 'rEcEiVeD') + lines(50, 'DeliveredX'), 'hops'],
  ['shorter and indented names', lines(200, 'Receive: x') + lines(200, ' Received: x'), ''],
  ['words that differ late', lines(200, 'ReceiveX') + lines(200, 'DelivereX'), ''],
  ['the body', `${lines(99, 'Received')}\r\n${lines(99, 'Received')}`, ''],
  ['a line of a dot in front', lines(200, '.Received'), ''],
  ['a header without end', `${lines(99, 'Received')}\r\rx\r\n${lines(1, 'Received')}`, 'hops'],
  ['the first line empty', `\r\n${lines(100, 'Received')}`, ''],
] as const) {
  test(`DataDecoder counts hops: ${name}`, () => {
    const sent = bytesOf(`${message}.\r\n`);
    const flags = feedEveryWay(sent, (pieces) => decode(pieces).flags, { cutsMax: 50 });
    assert.equal(flags, want);
  });
}
