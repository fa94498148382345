import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../bytes/bytes.ts';
import { parseUsableTlsa } from './tlsa.ts';

const sha256 = 'a'.repeat(32);
const sha512 = 'b'.repeat(64);

test('parseUsableTlsa() takes what RFC 7672 lets a client of SMTP use, and nothing else', () => {
  const rows: [string, boolean][] = [
    [`\x03\x01\x01${sha256}`, true],
    [`\x03\0\x02${sha512}`, true],
    [`\x02\x01\0der`, true],
    [`\0\x01\x01${sha256}`, false],
    [`\x01\x01\x01${sha256}`, false],
    [`\x04\x01\x01${sha256}`, false],
    [`\x03\x02\x01${sha256}`, false],
    [`\x03\x01\x03${sha256}`, false],
    [`\x03\x01\x01${sha512}`, false],
    [`\x03\x01\x01`, false],
    ['\x03\x01\0', false],
    ['\x03\x01', false],
    ['', false],
  ];
  for (const [record, isUsable] of rows)
    assert.equal(parseUsableTlsa([bytesOf(record)]).length === 1, isUsable, JSON.stringify(record));
  const [first] = parseUsableTlsa(rows.map(([record]) => bytesOf(record)));
  assert.deepEqual(first, { usage: 3, selector: 1, matching: 1, data: bytesOf(sha256) });
});
