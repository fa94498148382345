import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { type BareCrTreatment, DataDecoder, type DataState } from './data-decoder.ts';

interface Decoded {
  readonly state: DataState;
  readonly text: string;
  /** What follows the end. */
  readonly rest: string;
  readonly flags: string;
}

function decode(pieces: readonly Uint8Array[], sizeMax = 0, bareCr: BareCrTreatment = 'keep'): Decoded {
  const decoder = new DataDecoder({ sizeMax, bareCr });
  let state: DataState = 'more';
  let text = '';
  let rest = '';
  for (const piece of pieces) {
    let at = 0;
    while (state === 'more' && at < piece.length) {
      const step = decoder.decode(piece, at);
      state = step.state;
      at = step.next;
      text += textOf(decoder.output);
    }
    rest += textOf(piece.subarray(at));
  }
  const flags = [decoder.isTooLarge && 'large', decoder.hasTooManyHops && 'hops', decoder.hasBareCr && 'cr'];
  return { state, text, rest, flags: flags.filter((flag) => flag !== false).join() };
}

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

test('DataDecoder takes as many bytes as are allowed, counted after decoding, and gives none of a larger message after that', () => {
  assert.deepEqual(everyWay('..345678\r\n.\r\n', 8), {
    state: 'end',
    text: '.345678\n',
    rest: '',
    flags: '',
  });
  assert.equal(decode([bytesOf('12345678\r\n.\r\nx')], 8).flags, 'large');
  assert.equal(decode([bytesOf('12345678\r\n.\r\nx')], 8).rest, 'x');
  const pieces = Array.from(bytesOf('12345678\r\nmore\r\n.\r\n'), (byte) => Uint8Array.of(byte));
  assert.deepEqual(decode(pieces, 8), { state: 'end', text: '12345678', rest: '', flags: 'large' });
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

/** The same by looking at the text as a whole. */
function reference(sent: string): Decoded {
  const stray = /(?<!\r)\n/.exec(sent)?.index ?? Number.POSITIVE_INFINITY;
  const end = /(?<=^|\r\n)\.\r\n/.exec(sent)?.index ?? Number.POSITIVE_INFINITY;
  const unstuffed = (text: string): string =>
    text
      .split('\r\n')
      .map((line) => (/^\.[^\r]/.test(line) ? line.slice(1) : line))
      .join('\n');
  if (stray < end)
    return { state: 'stray-lf', text: settled(sent.slice(0, stray)), rest: sent.slice(stray + 1), flags: '' };
  if (end < stray)
    return { state: 'end', text: unstuffed(sent.slice(0, end)), rest: sent.slice(end + 3), flags: '' };
  return { state: 'more', text: settled(sent), rest: '', flags: '' };

  /** Without what the next byte decides. */
  function settled(text: string): string {
    return unstuffed(text.replace(/(?:(?<=^|\r\n)\.\r?|\r)$/, ''));
  }
}

test('DataDecoder does as the reference on random streams of the bytes that matter', () => {
  const streams = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\0', '\r\n', '\r\n.'), { maxLength: 24 });
  fc.assert(
    fc.property(streams, fc.array(fc.nat(40), { maxLength: 3 }), (parts, cuts) => {
      const sent = parts.join('');
      const places = [...cuts.filter((cut) => cut < sent.length).sort((a, b) => a - b), sent.length];
      const pieces = places.map((place, i) => bytesOf(sent.slice(places[i - 1] ?? 0, place)));
      assert.deepEqual(decode(pieces), reference(sent));
    }),
    { numRuns: 20_000 },
  );
});
