// Lines of control/tlsclients, good and bad.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { isIdentityName, matchesSubject, parseFingerprint, parseTlsClientRule } from './tls-clients.ts';

const HEX = 'ab'.repeat(32);
const COLONS = Array(32).fill('AB').join(':');

test('lines that say something', () => {
  const rows: [string, object][] = [
    [
      `fingerprint sha256:${HEX} web1.example.org`,
      { kind: 'fingerprint', value: HEX, identity: 'web1.example.org' },
    ],
    [`fingerprint\tSHA256:${COLONS}`, { kind: 'fingerprint', value: HEX }],
    ['subject web1.example.org', { kind: 'subject', value: 'web1.example.org' }],
    ['subject  *.example.org', { kind: 'subject', value: '*.example.org' }],
    ['subject *', { kind: 'subject', value: '*' }],
    ['subject Web1.Example.ORG', { kind: 'subject', value: 'web1.example.org' }],
    [`fingerprint sha256:${HEX} Web1`, { kind: 'fingerprint', value: HEX, identity: 'web1' }],
  ];
  for (const [line, want] of rows) {
    assert.deepEqual(parseTlsClientRule(bytesOf(line)), { revokes: false, ...want }, line);
    assert.deepEqual(parseTlsClientRule(bytesOf(`-${line}`)), { revokes: true, ...want }, line);
  }
});

test('lines that cannot be followed say why', () => {
  const rows: [string, RegExp][] = [
    ['web1.example.org', /neither fingerprint nor subject/],
    ['fingerprint', /nothing behind fingerprint/],
    ['-subject', /nothing behind subject/],
    [`fingerprint sha1:${HEX}`, /not sha256/],
    [`fingerprint sha256:${HEX}0`, /not sha256/],
    [`fingerprint sha256:${HEX.slice(1)}g`, /not sha256/],
    [`fingerprint sha256:${HEX} web_1`, /not a name/],
    ['Fingerprint x', /neither fingerprint nor subject/],
    [`fingerprint sha256:${HEX} web1 until 2029`, /too many words/],
    ['subject a..b', /not a name/],
    ['subject *example.org', /not a name/],
    ['subject a b', /too many words/],
    ['subject a@b', /not a name/],
    ['-', /neither/],
    ['', /neither/],
  ];
  for (const [line, want] of rows) assert.match(String(parseTlsClientRule(bytesOf(line))), want, line);
});

test('matchesSubject() takes whole labels only', () => {
  const rows: [string, string, boolean][] = [
    ['web1.example.org', 'web1.example.org', true],
    ['web1.example.org', 'web11.example.org', false],
    ['*.example.org', 'web1.example.org', true],
    ['*.example.org', 'a.b.example.org', true],
    ['*.example.org', 'example.org', false],
    ['*.example.org', '.example.org', false],
    ['*.example.org', 'badexample.org', false],
    ['*', 'anything', true],
  ];
  for (const [pattern, name, want] of rows)
    assert.equal(matchesSubject(pattern, name), want, `${pattern} ${name}`);
});

test('names and fingerprints at their limits', () => {
  assert.ok(isIdentityName('a'.repeat(253)));
  for (const name of ['a'.repeat(254), '', 'a_b', '-a', 'a-', 'a.', 'A'])
    assert.ok(!isIdentityName(name), name);
  assert.equal(parseFingerprint(`sha256:${HEX}`), HEX);
  for (const text of ['', 'sha256:', HEX, `sha256:${HEX}ab`])
    assert.equal(parseFingerprint(text), undefined, text);
});
