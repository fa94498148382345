// Constant databases and address rules with inputs by chance: what is built is found, damage is noticed or harmless, and
// no way of cutting the input changes what it means. MINI_QMAIL_FUZZ says how many inputs there are of each kind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { buildCdb, findInCdb } from '../../src/core/format/cdb.ts';
import { findTcpRule, readTcpRuleData } from '../../src/core/policy/tcp-rules.ts';
import { compileRules, readRules } from '../support/compile-rules.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { randomHost, randomIpv4, randomRules } from '../support/random-rules.ts';

function randomBytes(chance: Chance, most: number): Uint8Array {
  return Uint8Array.from({ length: chance.below(most + 1) }, () => chance.below(chance.of([2, 256])));
}

/** Reads of a file in memory that must stay within it, and be few. */
function readerOf(cdb: Uint8Array): (at: number, length: number) => Uint8Array | undefined {
  let reads = 0;
  return (at, length) => {
    assert.ok(at >= 0 && length >= 0 && ++reads <= cdb.length + 1, 'reads are bounded');
    return at + length <= cdb.length ? cdb.subarray(at, at + length) : undefined;
  };
}

test('what is built is found, the first of equal keys, and nothing else is', () => {
  fuzz((chance) => {
    const records = Array.from({ length: chance.below(20) }, () => ({
      key: randomBytes(chance, 4),
      data: randomBytes(chance, 6),
    }));
    const cdb = buildCdb(records)!;
    const first = new Map<string, Uint8Array>();
    for (const { key, data } of records) if (!first.has(textOf(key))) first.set(textOf(key), data);
    for (const key of [...records.map((record) => record.key), randomBytes(chance, 4)]) {
      assert.deepEqual(findInCdb(readerOf(cdb), key), first.get(textOf(key)));
    }
  });
});

test('a damaged database gives an answer or is called corrupt', () => {
  const outcomes = new Set<string>();
  fuzz((chance) => {
    const records = Array.from({ length: 1 + chance.below(8) }, () => ({
      key: randomBytes(chance, 4),
      data: randomBytes(chance, 4),
    }));
    const whole = buildCdb(records)!;
    const { key } = chance.of(records);
    // Where it hurts: the table's entry in the header, or what lies behind the header.
    for (let changes = chance.below(6); changes > 0; changes--) {
      const at = chance.below(4) === 0 ? chance.below(2048) : 2048 + chance.below(whole.length - 2048);
      whole[at] = chance.of([0, 255, 8, chance.below(256)]);
    }
    const cdb = whole.subarray(
      0,
      chance.of([whole.length, 2048 + chance.below(whole.length - 2048), chance.below(2048)]),
    );
    const data = findInCdb(readerOf(cdb), key);
    outcomes.add(data === 'corrupt' ? 'corrupt' : typeof data);
    if (data !== undefined && data !== 'corrupt') readTcpRuleData(data);
  });
  assert.deepEqual([...outcomes].sort(), ['corrupt', 'object', 'undefined']);
});

test('rules mean the same however they are cut, and never more than their lines', () => {
  const results = { right: 0, wrong: 0 };
  const pieces = [
    '[',
    ']',
    '[::1]',
    '[fe80::',
    ']/10',
    '[cert:x]',
    '/24',
    ':',
    ':allow',
    ':deny',
    ',A="b"',
    '\n',
    '1.2.3.4',
    '-',
    '@',
    '=',
  ];
  fuzz((chance) => {
    const text = chance.of([
      () => randomRules(chance, 1 + chance.below(4), 5),
      () => Array.from({ length: chance.below(12) }, () => chance.of(pieces)).join(''),
      () => textOf(randomBytes(chance, 40)),
    ])();
    const whole = bytesOf(text);
    const cuts = Array.from({ length: chance.below(5) }, () => chance.below(whole.length + 1)).sort(
      (a, b) => a - b,
    );
    const parts = [...cuts, whole.length].map((end, i) => whole.slice(i === 0 ? 0 : cuts[i - 1], end));
    const want = readRules([bytesOf(text)]);
    assert.deepEqual(readRules(parts), want);
    assert.ok(want.records.length <= 256 * text.split('\n').length);
    results[want.bad === undefined ? 'right' : 'wrong']++;
  });
  assert.ok(results.right > 10 && results.wrong > 10, JSON.stringify(results));
});

test('a client is found by a rule that is for it', () => {
  let found = 0;
  fuzz((chance) => {
    const compiled = compileRules(`${randomRules(chance, 6)}\n`);
    if ('bad' in compiled) return;
    const [ip, host, info] = [bytesOf(randomIpv4(chance)), bytesOf(randomHost(chance)), bytesOf('joe')];
    const rule = findTcpRule((key) => findInCdb(readerOf(compiled.cdb), key), { ip, host, info });
    assert.notEqual(rule, 'corrupt');
    if (rule === undefined || rule === 'corrupt') return;
    found++;
    const key = textOf(rule.key);
    const at = key.lastIndexOf('@');
    const [who, where] = at < 0 ? [undefined, key] : [key.slice(0, at), key.slice(at + 1)];
    assert.ok(who === undefined || who === 'joe', key);
    const isHost = where.startsWith('=') && `=${textOf(host)}`.endsWith(where.slice(1));
    assert.ok(isHost || textOf(ip).startsWith(where), `${key} is for ${textOf(ip)} ${textOf(host)}`);
  });
  assert.ok(found > 10, `${found}`);
});
