import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { parseTlsRules, TlsRules } from './tls-rules.ts';

const rulesOf = (...entries: string[]): TlsRules => {
  const rules = parseTlsRules(entries.map(bytesOf));
  assert.ok(rules instanceof TlsRules, String(rules));
  return rules;
};

test('the entry of the name, of what is above it, or of all others decides', () => {
  const rules = rulesOf(':may', '.example:encrypt', 'A.example:verify', 'b.example:none', 'b.example:dane');
  for (const [host, level] of [
    ['a.example', 'verify'],
    ['b.example', 'dane'],
    ['c.example', 'encrypt'],
    ['example', 'may'],
  ] as const)
    assert.equal(rules.find(host)?.level, level, host);
  assert.equal(rulesOf('a.example:none').find('b.example'), undefined);
});

test('options are names, a file of authorities, and that nothing else counts', () => {
  const rules = rulesOf(
    'a:verify, name=MX.example ,name=mx2.example,ca=control/ca.pem',
    'b:may,only',
    'c:encrypt',
  );
  assert.deepEqual(rules.find('a'), {
    level: 'verify',
    names: ['mx.example', 'mx2.example'],
    ca: 'control/ca.pem',
    isAlone: true,
  });
  assert.equal(rules.find('b')?.isAlone, true);
  assert.equal(rules.find('c')?.isAlone, false);
  assert.deepEqual(rules.listFiles(), ['control/ca.pem']);
});

test('what is not understood is told with its entry', () => {
  for (const [entry, want] of [
    ['a.example', '"a.example" has no colon'],
    ['a:', '"" is not one of none, may, encrypt, verify, dane, in "a:"'],
    ['a:Verify', '"Verify" is not one of none, may, encrypt, verify, dane, in "a:Verify"'],
    ['a:may,name=b', '"name=b" is not an option of may, in "a:may,name=b"'],
    ['a:verify,name=', '"name=" is not an option of verify, in "a:verify,name="'],
    ['a:dane,only', '"only" is not an option of dane, in "a:dane,only"'],
    ['a:encrypt,', '"" is not an option of encrypt, in "a:encrypt,"'],
  ] as const)
    assert.equal(parseTlsRules([bytesOf(entry)]), want);
});
