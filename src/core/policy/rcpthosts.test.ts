import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { parseDomainSet } from '../format/domain-map.ts';
import { isRecipientAllowed } from './rcpthosts.ts';

const HOSTS = parseDomainSet([bytesOf('Example.ORG'), bytesOf('.example.org'), bytesOf('__proto__')]);
const DATABASE = ['example.com', '.example.net'];
const isInDatabase = (key: Uint8Array): boolean => DATABASE.includes(textOf(key));

const CASES: [string, boolean][] = [
  ['a@example.org', true],
  ['a@EXAMPLE.org', true],
  ['a@x.y.example.org', true],
  ['a@.example.org', true],
  ['a@notexample.org', false],
  ['a@example.org.', false],
  ['a@org', false],
  ['a@x@example.org', true],
  ['a@example.org@evil.example', false],
  ['a@', false],
  ['', true],
  ['root', true],
  ['a@Example.COM', true],
  ['a@x.example.com', false],
  ['a@x.EXAMPLE.net', true],
  ['a@example.net', false],
  ['a@toString', false],
];

for (const [recipient, want] of CASES) {
  test(`isRecipientAllowed() ${want ? 'accepts' : 'refuses'} "${recipient}"`, () => {
    assert.equal(isRecipientAllowed(bytesOf(recipient), HOSTS, isInDatabase), want);
  });
}

test('isRecipientAllowed() accepts everybody without a list, whatever the database has', () => {
  const fail = () => assert.fail('asked');
  assert.equal(isRecipientAllowed(bytesOf('a@b'), undefined, fail), true);
});

test('isRecipientAllowed() refuses all domains with an empty list', () => {
  assert.equal(
    isRecipientAllowed(bytesOf('a@b'), parseDomainSet([]), () => false),
    false,
  );
});
