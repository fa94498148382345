import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../bytes/bytes.ts';
import { compareSpilled, formatSpillName, nextSpillName, parseSpillName } from './spill-name.ts';
import { formatSpillReport, parseSpillReport, SPILL_REPORT_SIZE_MAX } from './spill-report.ts';
import { formatSpilled, parseSpilled } from './spilled-message.ts';

const NAMES = [
  '1763865000.000123.42.51',
  '0.000000.1.0',
  '1763865000.999999.42.51.u1763865001',
  '1763865000.999999.42.51.z1763865002',
  '1763865000.999999.42.51.u1763865001.h7',
  '1763865000.999999.42.51.u1763865001.h0.z1763865002.x1763865003',
];

const NO_NAMES = [
  '',
  '.',
  '..',
  'lock',
  'tmp.1763865000.000123.42.51',
  '1763865000.000123.42',
  '1763865000.123.42.51',
  '1763865000.1000000.42.51',
  '01763865000.000123.42.51',
  '1763865000.000123.42.-51',
  '1763865000.000123.42.5e1',
  '1763865000.000123.42.51.',
  '1763865000.000123.42.51.u',
  '1763865000.000123.42.51.y5',
  '1763865000.000123.42.51.5',
  '1763865000.000123.42.51.z2.u1',
  '1763865000.000123.42.51.u1.u2',
  '1763865000.000123.42.51.h1.u2',
  '1763865000.000123.42.51.uNaN',
  'NaN.000NaN.NaN.NaN',
  '1763865000.000123.42.51/x',
  '9999999999999999.000123.42.51',
];

describe('parseSpillName()', () => {
  it('reads what formatSpillName() writes', () => {
    for (const name of NAMES) assert.equal(formatSpillName(parseSpillName(name)!), name);
    const { unknownSince, putOffAt, refusedAt, size } = parseSpillName(NAMES.at(-1)!)!;
    assert.deepEqual([unknownSince, putOffAt, refusedAt, size], [1763865001, 1763865002, 1763865003, 51]);
  });

  it('knows no other name', () => {
    for (const name of NO_NAMES) assert.equal(parseSpillName(name), undefined, name);
  });
});

describe('nextSpillName()', () => {
  const nowMs = 1_763_865_000_123;

  it('is the time when nothing is there', () => {
    assert.equal(formatSpillName(nextSpillName(nowMs, 7, 9, undefined)), '1763865000.123000.7.9');
  });

  it('comes behind the last one, in the same millisecond and after the clock was set back', () => {
    for (const [last, next] of [
      ['1763865000.123000.99.1', '1763865000.123001.7.9'],
      ['1763869999.000000.99.1.u5', '1763869999.000001.7.9'],
      ['1763869999.999999.99.1', '1763870000.000000.7.9'],
      ['1763864999.999999.99.1', '1763865000.123000.7.9'],
    ] as const)
      assert.equal(formatSpillName(nextSpillName(nowMs, 7, 9, parseSpillName(last))), next);
  });
});

describe('compareSpilled()', () => {
  it('puts what was put off behind the others, the longest ago first', () => {
    const names = ['5.000000.1.1.z9', '6.000000.1.1.z8', '7.000000.2.1', '7.000000.1.1', '6.000009.1.1.u9'];
    const sorted = names.map((name) => parseSpillName(name)!).sort(compareSpilled);
    assert.deepEqual(sorted.map(formatSpillName), [names[4], names[3], names[2], names[1], names[0]]);
  });
});

describe('parseSpilled()', () => {
  const back = (envelope: string, message: string[]) => {
    const parts = formatSpilled(bytesOf(envelope), message.map(bytesOf));
    const spilled = parts && parseSpilled(concatBytes(parts));
    return spilled && [spilled.envelope.sender, ...spilled.envelope.recipients, spilled.message].map(textOf);
  };

  it('gives back addresses and message to the byte', () => {
    assert.deepEqual(back('Fa@b\0Tc@d\0Te@f\0\0', ['x\n', '', '\0y\xff']), [
      'a@b',
      'c@d',
      'e@f',
      'x\n\0y\xff',
    ]);
    assert.deepEqual(back('F\0T\0\0', ['\0\0']), ['', '', '\0\0']);
    assert.deepEqual(back('F\0\0', []), ['', '']);
  });

  it('takes nothing behind the envelope for the message', () => {
    assert.deepEqual(back('Fa@b\0Tc@d\0\0Tz@z\0\0junk', ['x']), ['a@b', 'c@d', 'x']);
  });

  it('refuses what is cut off', () => {
    assert.equal(back('Fa@b\0Tc@d\0', ['x']), undefined);
    const whole = concatBytes(formatSpilled(bytesOf('Fa@b\0Tc@d\0\0'), [])!);
    for (let length = 0; length < whole.length; length++)
      assert.equal(parseSpilled(whole.subarray(0, length)), undefined, `${length} bytes`);
  });
});

describe('parseSpillReport()', () => {
  it('reads what formatSpillReport() writes', () => {
    for (const report of [
      { messages: 50, oldest: 7200 },
      { messages: 0, oldest: 0 },
    ])
      assert.deepEqual(parseSpillReport(formatSpillReport(report)), report);
    const huge = formatSpillReport({ messages: 1e15, oldest: 1e15 });
    assert.equal(huge.length, SPILL_REPORT_SIZE_MAX);
    assert.deepEqual(parseSpillReport(huge), { messages: 999_999_999_999, oldest: 999_999_999_999 });
  });

  it('takes nothing else for one', () => {
    const good = textOf(formatSpillReport({ messages: 50, oldest: 7200 }));
    for (const text of [
      '',
      'Subject: x\n',
      good.slice(0, -1),
      `${good}\n`,
      good.replace('50', '050'),
      good.replace('50', '-5'),
      good.replace('50', ''),
      good.replace('50', '5.5'),
      good.replace(' oldest', ''),
    ])
      assert.equal(parseSpillReport(bytesOf(text)), undefined, text);
  });
});
