import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { formatQueueEnvelope, judgeQueueEnvelope, parseQueueEnvelope } from './queue-envelope.ts';

function parsed(text: string): string[] | undefined {
  const envelope = parseQueueEnvelope(bytesOf(text));
  return envelope && [envelope.sender, ...envelope.recipients].map(textOf);
}

const GOOD: [string, string[]][] = [
  ['Fa@b\0Tc@d\0\0', ['a@b', 'c@d']],
  ['F\0Tc@d\0\0', ['', 'c@d']],
  ['Fa@b\0\0', ['a@b']],
  ['Fa@b\0T\0Tx@y\0\0', ['a@b', '', 'x@y']],
  ['F\xff\n\0TF\0\0', ['\xff\n', 'F']],
];

for (const [text, want] of GOOD) {
  test(`parseQueueEnvelope() reads ${JSON.stringify(text)}, which formatQueueEnvelope() writes`, () => {
    assert.deepEqual(parsed(text), want);
    const [sender = '', ...recipients] = want;
    const written = formatQueueEnvelope({ sender: bytesOf(sender), recipients: recipients.map(bytesOf) });
    assert.equal(textOf(written), text);
  });
}

test('parseQueueEnvelope() ignores what follows the final NUL', () => {
  assert.deepEqual(parsed('Fa@b\0Tc@d\0\0Tz@z\0\0junk'), ['a@b', 'c@d']);
});

const BAD = [
  '',
  '\0',
  'a@b\0Tc@d\0\0',
  'fa@b\0\0',
  'Fa@b',
  'Fa@b\0',
  'Fa@b\0Tc@d',
  'Fa@b\0Tc@d\0',
  'Fa@b\0c@d\0\0',
  'Fa@b\0Fc@d\0\0',
  'Fa@b\0X\0\0',
];

for (const text of BAD) {
  test(`parseQueueEnvelope() refuses ${JSON.stringify(text)}`, () => {
    assert.equal(parsed(text), undefined);
  });
}

test('parseQueueEnvelope() refuses an envelope cut anywhere', () => {
  const whole = 'Fa@b\0Tc@d\0Te\0\0';
  for (let length = 0; length < whole.length; length++)
    assert.equal(parsed(whole.slice(0, length)), undefined);
});

test('judgeQueueEnvelope() reads the same, and says what is wrong with others as qmail-queue does', () => {
  for (const [text, want] of GOOD) {
    const envelope = judgeQueueEnvelope(bytesOf(`${text}junk`), 3);
    assert.ok(typeof envelope === 'object');
    assert.deepEqual([envelope.sender, ...envelope.recipients].map(textOf), want);
  }
  const faults: [string, string][] = [
    ['', 'short'],
    ['F', 'short'],
    ['Fa@b', 'short'],
    ['Fa@b\0', 'short'],
    ['Fa@b\0Tc@d\0', 'short'],
    ['Fa@b\0Tc@', 'short'],
    ['\0', 'malformed'],
    ['Ta@b\0', 'malformed'],
    ['Fa@b\0X', 'malformed'],
    ['Fa@b\0Fc@d\0\0', 'malformed'],
    ['Fabcd\0\0', 'address-too-long'],
    ['Fabcd', 'address-too-long'],
    ['Fa@b\0Tabcd\0X', 'address-too-long'],
  ];
  for (const [text, want] of faults)
    assert.equal(judgeQueueEnvelope(bytesOf(text), 3), want, JSON.stringify(text));
});
