// The parser of DNS answers with packets by chance: answers that are right are read as they were meant, and damaged ones cost
// a bounded number of looks at them and give nothing that is not in them. MINI_QMAIL_FUZZ says how many packets there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, copyBytes, textOf } from '../../src/core/bytes/bytes.ts';
import {
  DNS_TYPE,
  type DnsType,
  encodeDnsQuery,
  parseDnsAnswer,
} from '../../src/core/protocol/dns/message.ts';
import { encodeDnsName, readDnsName } from '../../src/core/protocol/dns/name.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';

const NAMES = [
  'a',
  'mx.example',
  'a.b.c.d.example.org',
  '1.2.0.192.in-addr.arpa',
  `${'x'.repeat(63)}.y`,
  'a_b-c\\001',
];

function word(number: number): Uint8Array {
  return Uint8Array.of(number >> 8, number & 255);
}

/** A name in full, or its first label and a pointer to the question's name. */
function randomOwner(chance: Chance): Uint8Array {
  const pointer = Uint8Array.of(192, 12);
  const name = encodeDnsName(bytesOf(chance.of(NAMES)))!;
  return chance.of([name, pointer, concatBytes([Uint8Array.of(1, 97), pointer])]);
}

/** Data of a record, and what a reader should make of it. */
function randomData(chance: Chance, type: DnsType): { data: Uint8Array; text: string } {
  const bytes = (length: number) => Uint8Array.from({ length }, () => chance.below(256));
  if (type === 'PTR') {
    const text = chance.of(NAMES);
    return { data: encodeDnsName(bytesOf(text))!, text };
  }
  if (type === 'TXT') {
    const strings = Array.from({ length: chance.below(3) }, () => bytes(chance.of([0, 3, 255])));
    const parts = strings.flatMap((string) => [Uint8Array.of(string.length), string]);
    return { data: concatBytes(parts), text: textOf(concatBytes(strings)) };
  }
  if (type === 'MX') {
    const text = chance.of(NAMES);
    const preference = bytes(2);
    return {
      data: concatBytes([preference, encodeDnsName(bytesOf(text))!]),
      text: textOf(preference) + text,
    };
  }
  const data = bytes(type === 'A' ? 4 : 16);
  return { data, text: textOf(data) };
}

function randomPacket(chance: Chance): { query: Uint8Array; packet: Uint8Array; wanted: string[] } {
  const type = chance.of(Object.keys(DNS_TYPE) as DnsType[]);
  const query = encodeDnsQuery(chance.below(65_536), bytesOf(chance.of(NAMES)), type)!;
  const records: Uint8Array[] = [];
  const wanted: string[] = [];
  for (let count = chance.below(4); count > 0; count--) {
    const isOther = chance.below(3) === 0;
    const { data, text } = randomData(chance, type);
    const kind = word(isOther ? 5 : DNS_TYPE[type]);
    records.push(
      concatBytes([randomOwner(chance), kind, word(1), bytesOf('\0\0\0\0'), word(data.length), data]),
    );
    if (!isOther) wanted.push(text);
  }
  const packet = concatBytes([query, ...records]);
  packet[2] = 129;
  packet[3] = 128 + chance.of([0, 0, 3]);
  packet.set(word(records.length), 6);
  return { query, packet, wanted };
}

/** The packet, with a count of the looks at single bytes of it. */
function counted(packet: Uint8Array): { packet: Uint8Array; looks: () => number } {
  let looks = 0;
  const proxy = new Proxy(packet, {
    get(target, key) {
      if (typeof key === 'string' && key >= '0' && key <= ':') looks++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { packet: proxy, looks: () => looks };
}

test('an answer is read as it was meant', () => {
  let records = 0;
  fuzz((chance) => {
    const { query, packet, wanted } = randomPacket(chance);
    const answers = parseDnsAnswer(query, packet);
    assert.ok(typeof answers !== 'string', String(answers));
    const cut = parseDnsAnswer(query, packet.subarray(0, chance.below(packet.length)));
    assert.ok(cut === 'failed' || cut === 'unrelated', String(cut));
    packet.fill(0);
    assert.deepEqual(answers.records.map(textOf), wanted);
    records += wanted.length;
  });
  assert.ok(records > 0);
});

test('a damaged answer costs little and gives nothing that is not in it', () => {
  const seen = new Set<string>();
  fuzz((chance) => {
    const { query, packet: whole } = randomPacket(chance);
    for (let changes = 1 + chance.below(6); changes > 0; changes--) {
      const at = chance.of([
        chance.below(whole.length),
        query.length + chance.below(whole.length - query.length + 1),
      ]);
      if (at < whole.length) whole[at] = chance.of([0, 1, 63, 64, 191, 192, 255, chance.below(256)]);
    }
    const length = chance.of([whole.length, whole.length, chance.below(whole.length + 1)]);
    const { packet, looks } = counted(copyBytes(whole.subarray(0, length)));
    const answers = parseDnsAnswer(query, packet);
    // A record has 11 bytes or more and names of at most 255 steps, two of them.
    assert.ok(
      looks() <= 2 * query.length + 40 + (length / 11 + 1) * 600,
      `${looks()} looks at ${length} bytes`,
    );
    seen.add(typeof answers === 'string' ? answers : 'answers');
    if (typeof answers === 'string') return;
    for (const answer of answers.records) assert.ok(answer.length <= 4 * 255 + length);
  });
  assert.deepEqual([...seen].sort(), ['answers', 'failed', 'truncated', 'unrelated']);
});

/** The wire form of the name at an offset without pointers, each of which must lead to before the last; undefined if it is none. */
function nameSlowly(bytes: Uint8Array, at: number, before: number): number[] | undefined {
  const size = bytes[at];
  if (size === undefined || (size > 63 && size < 192)) return undefined;
  if (size === 0) return [0];
  if (size >= 192) {
    const to = (size - 192) * 256 + (bytes[at + 1] ?? 65_536);
    return to < before ? nameSlowly(bytes, to, to) : undefined;
  }
  const label = [...bytes.subarray(at, at + 1 + size)];
  const rest = label.length === 1 + size ? nameSlowly(bytes, at + 1 + size, before) : undefined;
  return rest && [...label, ...rest];
}

test('a name that is no name ends, and one that is can be written again', () => {
  let names = 0;
  fuzz((chance) => {
    const pieces = [
      [0],
      [1, 97],
      [3, 97, 46, 0],
      [192, chance.below(40)],
      [192],
      [63],
      [64],
      [255, 255],
      [chance.below(256)],
    ];
    const bytes = Uint8Array.from(Array.from({ length: chance.below(12) }, () => chance.of(pieces)).flat());
    const { packet, looks } = counted(bytes);
    const offset = chance.below(bytes.length + 1);
    const name = readDnsName(packet, offset);
    assert.ok(looks() <= 600, `${looks()} looks`);
    const slow = nameSlowly(bytes, offset, offset);
    const text = slow && readDnsName(Uint8Array.from(slow), 0)?.text;
    assert.deepEqual(name?.text, text);
    if (name === undefined) return;
    names++;
    assert.ok(name.end > offset && name.end <= bytes.length);
    const wire = encodeDnsName(name.text);
    assert.deepEqual(wire && readDnsName(wire, 0)?.text, name.text);
  });
  assert.ok(names > 0);
});
