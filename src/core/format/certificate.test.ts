// Certificates as Node's own reader sees them, and requests of ours and of others.

import assert from 'node:assert/strict';
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { test } from 'node:test';
import {
  type CertificateFields,
  encodeCertificateInfo,
  encodeName,
  encodeRequestInfo,
  encodeSigned,
  parseCertificateRequest,
  parseCertificateSubject,
  publicKeyBits,
  requestHash,
  type SignatureKind,
} from './certificate.ts';

const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
const idOf = (key: KeyObject) =>
  createHash('sha1')
    .update(publicKeyBits(spki(key))!)
    .digest();
const authority = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const holder = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

function issue(
  change: Partial<CertificateFields>,
  key = authority.privateKey,
  kind: SignatureKind = 'ecdsa',
) {
  const info = encodeCertificateInfo(
    {
      kind: 'client',
      serial: Buffer.from('00a1b2', 'hex'),
      issuer: encodeName('Mail of example.org'),
      subject: 'web1.example.org',
      notBefore: '20260101000000',
      notAfter: '20291231235959',
      publicKey: spki(holder.publicKey),
      keyId: idOf(holder.publicKey),
      issuerKeyId: idOf(authority.publicKey),
      names: ['web1.example.org'],
      addresses: [],
      ...change,
    },
    kind,
  );
  return new X509Certificate(encodeSigned(info, kind, sign(kind === 'ed25519' ? null : 'sha256', info, key)));
}

const own = {
  kind: 'authority',
  subject: 'Mail of example.org',
  publicKey: spki(authority.publicKey),
  keyId: idOf(authority.publicKey),
} as const;

test('a certificate says what it was given, and its signature holds', () => {
  const root = issue({ ...own, notAfter: '20551231235959' });
  const one = issue({});
  assert.ok(root.ca);
  assert.ok(!one.ca);
  assert.ok(one.checkIssued(root));
  assert.ok(one.verify(authority.publicKey));
  assert.ok(!one.verify(holder.publicKey));
  assert.ok(root.verify(authority.publicKey));
  assert.equal(one.subject, 'CN=web1.example.org');
  assert.equal(one.issuer, 'CN=Mail of example.org');
  assert.equal(one.serialNumber, 'A1B2');
  assert.deepEqual(
    [one.validFromDate, one.validToDate].map((date) => date.toISOString()),
    ['2026-01-01T00:00:00.000Z', '2029-12-31T23:59:59.000Z'],
  );
  assert.equal(root.validToDate.toISOString(), '2055-12-31T23:59:59.000Z');
  assert.deepEqual(one.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.deepEqual(one.publicKey.export({ type: 'spki', format: 'der' }), spki(holder.publicKey));
});

test('a server has names and addresses', () => {
  const addresses = [Buffer.from([192, 0, 2, 7]), Buffer.from('20010db8000000000000000000000001', 'hex')];
  const server = issue({ kind: 'server', names: ['hub.example.org', 'mx.example.org'], addresses });
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert.equal(server.checkHost('mx.example.org'), 'mx.example.org');
  assert.equal(server.checkHost('web1.example.org', { subject: 'never' }), undefined);
  for (const address of ['192.0.2.7', '2001:db8::1']) assert.equal(server.checkIP(address), address);
});

test('authorities with other kinds of keys sign as well', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed25519 = generateKeyPairSync('ed25519');
  assert.ok(issue({}, rsa.privateKey, 'rsa').verify(rsa.publicKey));
  assert.ok(issue({}, ed25519.privateKey, 'ed25519').verify(ed25519.publicKey));
});

test('the name of an issuer is read from its certificate as it stands there', () => {
  assert.deepEqual(
    Buffer.from(parseCertificateSubject(issue(own).raw)!),
    Buffer.from(encodeName(own.subject)),
  );
});

test('a request is read with its name, key and signature', () => {
  const info = encodeRequestInfo('web1.example.org', spki(holder.publicKey));
  const der = encodeSigned(info, 'ecdsa', sign('sha256', info, holder.privateKey));
  const request = parseCertificateRequest(der)!;
  assert.equal(request.subject, 'web1.example.org');
  const key = createPublicKey({ key: Buffer.from(request.publicKey), format: 'der', type: 'spki' });
  assert.ok(key.equals(holder.publicKey));
  assert.deepEqual(requestHash(request), { hash: 'sha256' });
  assert.ok(verify('sha256', request.info, key, request.signature));
});

test('what is no request is not read: cut anywhere, with something behind it, or a certificate', () => {
  const info = encodeRequestInfo('a', spki(holder.publicKey));
  const der = encodeSigned(info, 'ecdsa', sign('sha256', info, holder.privateKey));
  for (let end = 0; end < der.length; end++)
    assert.equal(parseCertificateRequest(der.subarray(0, end)), undefined);
  assert.equal(parseCertificateRequest(Buffer.concat([der, Buffer.from('00', 'hex')])), undefined);
  assert.equal(parseCertificateRequest(issue({}).raw), undefined);
  assert.equal(parseCertificateSubject(der.subarray(1)), undefined);
});

test('a request with any byte changed is refused, or read without trouble', () => {
  const info = encodeRequestInfo('a', spki(holder.publicKey));
  const der = encodeSigned(info, 'ecdsa', sign('sha256', info, holder.privateKey));
  for (let at = 0; at < der.length; at++) {
    const changed = new Uint8Array(der);
    changed[at]! ^= 0xff;
    const request = parseCertificateRequest(changed);
    if (request !== undefined) assert.ok(request.info.length < der.length);
  }
});
