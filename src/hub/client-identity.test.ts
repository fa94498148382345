// Certificates judged by lines of control/tlsclients, without a connection.

import assert from 'node:assert/strict';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { makeHome, removeHome } from '../../test/support/hub-process.ts';
import { fingerprintOf } from '../host/certificate-facts.ts';
import { makeKey } from '../setup/identity-files.ts';
import { issueCertificate } from '../setup/identity-issue.ts';
import { claimedName, readTlsClients } from './client-identity.ts';

const NOW_MS = Date.now();
const DAY_MS = 86_400_000;
const key = makeKey();
let home: string;

beforeEach(() => {
  home = makeHome();
});
afterEach(() => removeHome(home));

/** A certificate of an authority that has no name to check: faults are told by who asks. */
function issue(subject: string, names: readonly string[] = [subject]): X509Certificate {
  const publicKey = createPublicKey(key);
  return new X509Certificate(
    issueCertificate({ key }, { kind: 'client', subject, publicKey, names, nowMs: NOW_MS, days: 10 }),
  );
}

/** What comes of a certificate: `+NAME`, or why not. */
function judge(lines: string, certificate: X509Certificate, fault?: string, nowMs = NOW_MS): string {
  writeFileSync(join(home, 'control/tlsclients'), lines);
  const verdict = readTlsClients(home)!({ certificate, fault }, nowMs);
  return verdict.allow ? `+${verdict.identity}` : verdict.reason;
}

test('a certificate is taken for the name by which it is listed, and for no other reason', () => {
  const one = issue('Web1.example');
  const two = issue('web1.example', ['web2.example', 'web3.example']);
  const odd = issue('a person, or so', ['192.0.2.1']);
  const fingerprint = fingerprintOf(one);
  const rows: [string, X509Certificate, string][] = [
    ['', one, 'is not in control/tlsclients'],
    ['subject web1.example', one, '+web1.example'],
    ['subject WEB1.example', one, '+web1.example'],
    ['subject web3.example', two, '+web3.example'],
    ['subject *', two, '+web1.example'],
    ['subject *\n-subject web3.example', two, 'is revoked'],
    ['-subject web1.example\nsubject *', one, 'is revoked'],
    [`fingerprint ${fingerprint}`, one, '+web1.example'],
    [`fingerprint ${fingerprint} other`, one, '+other'],
    [`fingerprint ${fingerprint} other`, two, 'is not in control/tlsclients'],
    [`fingerprint ${fingerprint}\n-fingerprint ${fingerprint}`, one, 'is revoked'],
    [`fingerprint ${fingerprint}\n-subject *.example`, one, 'is revoked'],
    [`subject *\n-fingerprint ${fingerprint}`, one, 'is revoked'],
    ['subject *', odd, 'is not in control/tlsclients'],
    ['subject *', issue('x\nCN=y.example', ['192.0.2.1']), 'is not in control/tlsclients'],
    [`fingerprint ${fingerprintOf(odd)}`, odd, `+${fingerprintOf(odd).slice(7, 23)}`],
  ];
  for (const [lines, certificate, want] of rows) assert.equal(judge(lines, certificate), want, lines);
});

test('a fault counts unless the certificate itself is listed; dates always do', () => {
  const one = issue('web1.example');
  const [self, expired] = ['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED'];
  const fingerprint = `fingerprint ${fingerprintOf(one)}`;
  const end = NOW_MS + 10 * DAY_MS;
  assert.equal(judge('subject *', one, self), 'is from no authority that is trusted here');
  assert.equal(judge('subject *', one, 'SOMETHING'), 'cannot be verified: SOMETHING');
  assert.equal(judge(fingerprint, one, self), '+web1.example');
  assert.equal(judge(fingerprint, one, self, end - 1000), '+web1.example');
  assert.equal(judge(fingerprint, one, expired, end + 1000), 'has expired');
  assert.match(judge(fingerprint, one, self, NOW_MS - DAY_MS), /^is not valid yet/);
});

test('what a certificate claims is its common name, whatever that is', () => {
  assert.equal(claimedName(issue('a person')), 'a person');
  assert.notEqual(claimedName(issue('x\nCN=y.example')), 'y.example');
  assert.equal(readTlsClients(home), undefined);
});
