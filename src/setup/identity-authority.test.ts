// The list of hosts, with lines of all kinds in control/tlsclients.

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type Identities, makeIdentities } from '../../test/support/identities.ts';
import { listIdentities, revokeIdentity, signRequest } from './identity-authority.ts';

const NOW_MS = Date.now();
let people: Identities;
let clients: string;

beforeEach(() => {
  people = makeIdentities(NOW_MS);
  clients = join(people.hub, 'control/tlsclients');
});
afterEach(() => people.remove());

/** Names and states, as `NAME STATE`. */
const list = () =>
  listIdentities({ home: people.hub, nowMs: NOW_MS }).map(({ name, state }) => `${name} ${state}`);

test('hosts are listed by name, each certificate with its state', () => {
  people.addHost('web2.example', -1);
  people.addHost('web1.example');
  people.addHost('web3.example');
  revokeIdentity(people.hub, 'WEB3.example');
  assert.deepEqual(list(), ['web1.example accepted', 'web2.example expired', 'web3.example revoked']);
  people.addHost('web3.example', 5);
  assert.deepEqual(list().slice(2), ['web3.example revoked', 'web3.example accepted']);
  writeFileSync(clients, readFileSync(clients, 'latin1').replace(/^fingerprint .* web1\.example\n/m, ''));
  assert.equal(list()[0], 'web1.example not listed');
});

test('lines about certificates and names that the hub did not issue are listed too', () => {
  const digits = 'ab'.repeat(32);
  appendFileSync(
    clients,
    `fingerprint sha256:${digits} far.example\nsubject *.example\n-subject bad.example`,
  );
  assert.deepEqual(list(), ['*.example accepted', 'bad.example revoked', 'far.example accepted']);
  // The file had no line end.
  assert.deepEqual(revokeIdentity(people.hub, `SHA256:${digits}`), [`sha256:${digits}`]);
  assert.deepEqual(list(), ['*.example accepted', 'bad.example revoked', 'far.example revoked']);
});

test('a name is revoked whole where a line about names means it, and is not signed then', () => {
  const home = people.addHost('web1.example');
  appendFileSync(clients, 'subject *.example\n');
  const [fingerprint, name] = revokeIdentity(people.hub, 'web1.example');
  assert.match(fingerprint ?? '', /^sha256:/);
  assert.equal(name, 'web1.example');
  assert.deepEqual(revokeIdentity(people.hub, 'other.example'), ['other.example']);
  assert.throws(() => revokeIdentity(people.hub, 'other.example'), /other\.example is revoked already/);
  assert.throws(() => revokeIdentity(people.hub, 'other.test'), /Nothing is known of "other\.test"/);
  const request = readFileSync(join(home, 'control/tls/host.csr'));
  const place = { home: people.hub, nowMs: NOW_MS };
  assert.throws(
    () => signRequest(place, { request, name: undefined, days: 1 }),
    /tlsclients revokes the name web1\.example/,
  );
  assert.match(signRequest(place, { request, name: 'web2.example', days: 1 }), /^-----BEGIN/);
});

test('a list that cannot be understood is told, not passed over', () => {
  appendFileSync(clients, 'hello\n');
  assert.throws(list, /Cannot use .*control\/tlsclients: "hello" is neither/);
});
