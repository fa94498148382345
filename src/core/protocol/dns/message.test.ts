import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { type DnsType, encodeDnsQuery, parseDnsAnswer } from './message.ts';

const query = (type: DnsType, id = 0x1234) => encodeDnsQuery(id, bytesOf('a.example'), type)!;

/** An answer to a query: flags, number of answers, and their bytes. */
function answer(asked: Uint8Array, { flags = '\x81\x80', count = 1, records = '' } = {}): Uint8Array {
  const text = textOf(asked);
  return bytesOf(
    `${text.slice(0, 2)}${flags}\0\x01\0${String.fromCharCode(count)}\0\0\0\0${text.slice(12)}${records}`,
  );
}

const record = (type: number, data: string, owner = '\xc0\x0c') =>
  `${owner}\0${String.fromCharCode(type)}\0\x01\0\0\0\x3c\0${String.fromCharCode(data.length)}${data}`;

const parse = (asked: Uint8Array, packet: Uint8Array) => {
  const result = parseDnsAnswer(asked, packet);
  return typeof result === 'string' ? result : result.records.map(textOf);
};

test('encodeDnsQuery() makes a recursive question', () => {
  assert.equal(textOf(query('PTR')), '\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x0c\0\x01');
  assert.equal(encodeDnsQuery(1, bytesOf('a..b'), 'A'), undefined);
});

test('parseDnsAnswer() gives the data of the wanted type, in order', () => {
  const alias = record(5, '\x01b\xc0\x0e');
  assert.deepEqual(
    parse(query('PTR'), answer(query('PTR'), { count: 2, records: alias + record(12, '\x02MX\xc0\x0e') })),
    ['mx.example'],
  );
  const two = record(1, '\x0a\0\0\x01') + record(1, '\x0a\0\0\x02');
  assert.deepEqual(parse(query('A'), answer(query('A'), { count: 2, records: two })), [
    '\x0a\0\0\x01',
    '\x0a\0\0\x02',
  ]);
  assert.deepEqual(parse(query('TXT'), answer(query('TXT'), { records: record(16, '\x02ab\0\x01c') })), [
    'abc',
  ]);
  assert.deepEqual(parse(query('AAAA'), answer(query('AAAA'), { records: record(28, 'sixteen bytes   ') })), [
    'sixteen bytes   ',
  ]);
  assert.deepEqual(parse(query('A'), answer(query('A'), { count: 0 })), []);
  assert.deepEqual(parse(query('A'), answer(query('A'), { count: 0, flags: '\x81\x83' })), []);
});

test('parseDnsAnswer() gives preference and name of exchangers, and TLSA data as it is', () => {
  const exchanger = record(15, '\0\x0a\x02MX\xc0\x0e');
  assert.deepEqual(parse(query('MX'), answer(query('MX'), { records: exchanger })), ['\0\x0amx.example']);
  assert.equal(parse(query('MX'), answer(query('MX'), { records: record(15, '\0\x0a') })), 'failed');
  const digest = `\x03\x01\x01${'d'.repeat(32)}`;
  assert.deepEqual(parse(query('TLSA'), answer(query('TLSA'), { records: record(52, digest) })), [digest]);
});

test('parseDnsAnswer() tells what the server has validated, when it was asked to say so', () => {
  const asked = encodeDnsQuery(1, bytesOf('a.example'), 'A', true)!;
  const plain = encodeDnsQuery(1, bytesOf('a.example'), 'A')!;
  assert.equal(textOf(asked.subarray(plain.length)), '\0\0\x29\x04\xd0\0\0\x80\0\0\0');
  assert.deepEqual([asked[3], asked[11]], [32, 1]);
  for (const [flags, isSecure] of [
    ['\x81\x80', false],
    ['\x81\xa0', true],
    ['\x81\xa3', true],
  ] as const) {
    assert.deepEqual(parseDnsAnswer(asked, answer(plain, { flags, count: 0 })), { records: [], isSecure });
  }
});

test('parseDnsAnswer() believes only the answer to this question', () => {
  const asked = query('A');
  const records = record(1, '\x0a\0\0\x01');
  const whole = answer(asked, { records });
  assert.equal(parse(query('A', 0x1235), whole), 'unrelated');
  assert.equal(parse(query('PTR'), whole), 'unrelated');
  assert.equal(parse(asked, answer(asked, { records, flags: '\x01\x80' })), 'unrelated');
  assert.equal(parse(asked, whole.subarray(0, asked.length - 1)), 'unrelated');
  const otherCase = bytesOf(textOf(whole).replace('example', 'eXAMPLE'));
  assert.deepEqual(parse(asked, otherCase), ['\x0a\0\0\x01']);
});

test('parseDnsAnswer() tells a cut answer and a failing server', () => {
  const asked = query('A');
  assert.equal(parse(asked, answer(asked, { flags: '\x83\x80' })), 'truncated');
  for (const code of [1, 2, 4, 5]) {
    assert.equal(
      parse(asked, answer(asked, { count: 0, flags: `\x81${String.fromCharCode(128 + code)}` })),
      'failed',
    );
  }
});

test('parseDnsAnswer() survives every cut and every changed byte of an answer', () => {
  for (const [type, records] of [
    ['PTR', record(12, '\x02mx\xc0\x0e')],
    ['TXT', record(16, '\x02ab\x01c')],
    ['A', record(1, '\x0a\0\0\x01')],
    ['MX', record(15, '\0\x0a\x02mx\xc0\x0e')],
    ['TLSA', record(52, '\x03\x01\x01')],
  ] as const) {
    const asked = query(type);
    const whole = answer(asked, { records });
    for (let length = asked.length; length < whole.length; length++) {
      assert.equal(parse(asked, whole.subarray(0, length)), 'failed', `${type} cut at ${length}`);
    }
    for (let at = asked.length; at < whole.length; at++) {
      for (const byte of [0, 1, 63, 64, 192, 255]) parse(asked, whole.with(at, byte));
    }
  }
});

test('parseDnsAnswer() refuses data of a wrong length', () => {
  for (const [type, number, data] of [
    ['A', 1, '\x0a\0\0'],
    ['AAAA', 28, '\x0a\0\0\0'],
    ['TXT', 16, '\x05ab'],
  ] as const) {
    assert.equal(parse(query(type), answer(query(type), { records: record(number, data) })), 'failed');
  }
});
