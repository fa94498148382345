// The decoder of SMTP messages with inputs by chance, against a second one that has the whole text before it and takes its
// time. MINI_QMAIL_FUZZ says how many inputs there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import {
  type BareCrTreatment,
  type DataDecoderOptions,
  HOPS_MAX,
} from '../../src/core/protocol/smtp/data-decoder.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { cutsOf, damage } from '../support/random-bytes.ts';
import { type Decoded, decode } from '../support/smtp-data.ts';

/** What the text means, read as one. */
function decodeSlowly(text: string, { sizeMax, bareCr }: DataDecoderOptions): Decoded {
  const strayLf = /(?<!\r)\n/.exec(text)?.index ?? text.length;
  const dotLine = /(?:^|\r\n)\.\r\n/.exec(text);
  const end = dotLine === null ? text.length : dotLine.index + dotLine[0].length;
  const state = end <= strayLf && dotLine !== null ? 'end' : strayLf < text.length ? 'stray-lf' : 'more';
  const raw = state === 'end' ? text.slice(0, end - 3) : text.slice(0, strayLf);
  const seen = state === 'end' ? text.slice(0, end) : text.slice(0, strayLf + 1);
  const lines = raw.split('\r\n');
  // Of the last line a CR, and a dot that may be the end, are not decided yet.
  const last = lines.pop()!.replace(/^\.\r?$/, '');
  const plain = [...lines, last.replace(/\r$/, '')].map((line) => line.replace(/^\.(?!\r)/, ''));
  const bareCrs = plain.some((line) => line.includes('\r'));
  const output = plain.map((line) => line.replaceAll('\r', bareCr === 'space' ? ' ' : '\r')).join('\n');
  const header = seen.split(/(?<=\n)/);
  const empty = header.indexOf('\r\n');
  const fields = empty < 0 ? header : header.slice(0, empty);
  const flags = [
    sizeMax > 0 && output.length > sizeMax && 'large',
    fields.filter((line) => /^(?:received|delivered)/i.test(line)).length >= HOPS_MAX && 'hops',
    bareCrs && bareCr === 'reject' && 'cr',
  ];
  const all = flags.filter((flag) => flag !== false).join();
  return { state, text: output, rest: text.slice(seen.length), flags: all };
}

/** How much of a message that is too large was seen before that was known is a matter of the cuts. */
function comparable(decoded: Decoded): Decoded {
  return decoded.flags.includes('large') ? { ...decoded, text: '' } : decoded;
}

const BITS = [
  '\r',
  '\n',
  '\r\n',
  '.',
  '..',
  '\r\n.\r\n',
  '\r\n.',
  '.\r',
  '\r\r',
  'a',
  '\0',
  '\xff',
  'Received: x\r\n',
];

function randomMessage(chance: Chance): string {
  const hops = ['Received', 'Delivered-To', 'rEcEiVeD'];
  const isLooping = chance.below(20) === 0;
  const name = () => chance.of(isLooping ? hops : [...hops, 'Receive', 'X', '.Received']);
  const fieldCount = isLooping ? HOPS_MAX - 5 + chance.below(12) : chance.below(4);
  const fields = Array.from({ length: fieldCount }, () => `${name()}: a\r\n`);
  // Some of what looks like fields may be behind the header.
  if (chance.below(2) === 0) fields.splice(chance.below(fieldCount + 1), 0, '\r\n');
  const header = fields.join('');
  const line = () =>
    `${chance.of(['', '.', '..', 'x', 'Received'])}${chance.of(['', 'text', '\r', '\r.'])}\r\n`;
  const body = Array.from({ length: chance.below(5) }, line).join('');
  return `${header}${chance.of(['\r\n', ''])}${body}.\r\n${chance.of(['', 'QUIT\r\n'])}`;
}

test('a message is decoded as by one who has it whole, however it is cut', () => {
  const states = { more: 0, end: 0, 'stray-lf': 0 };
  fuzz((chance) => {
    const text = chance.of([
      () => damage(chance, randomMessage(chance), 4, BITS),
      () => randomMessage(chance),
      () => Array.from({ length: chance.below(16) }, () => chance.of(BITS)).join(''),
    ])();
    const bareCr: BareCrTreatment = chance.of(['keep', 'reject', 'space']);
    const sizeMax = chance.of([0, 0, chance.below(40)]);
    const want = comparable(decodeSlowly(text, { sizeMax, bareCr }));
    for (const pieces of cutsOf(chance, text))
      assert.deepEqual(comparable(decode(pieces, sizeMax, bareCr)), want, JSON.stringify(text));
    states[want.state]++;
  });
  for (const [state, count] of Object.entries(states)) assert.ok(count > 0, state);
});

test('a long message is decoded in steps of bounded size', () => {
  const text = `${'x'.repeat(70_000)}\r\n..y\r\n.\r\n`;
  assert.deepEqual(decode([bytesOf(text)]), decodeSlowly(text, { bareCr: 'keep', sizeMax: 0 }));
});
