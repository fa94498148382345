// The hub with the files that say how mail leaves it: TLS, TLSA records of a resolver, passwords; and what it says to a
// mistake in one of them.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { type IssuedCertificate, makeAuthority, type TestAuthority } from '../support/authority.ts';
import { startFakeDns } from '../support/fake-dns-server.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';
import { missingPeers } from '../support/peers.ts';

const skip = missingPeers('openssl');
let authority: TestAuthority;
let certificate: IssuedCertificate;

before(() => {
  if (skip !== false) return;
  authority = makeAuthority();
  certificate = authority.issue('relay.example');
});

after(() => authority?.remove());

test('the hub asks for TLS by tlspolicy, and logs in by smtpauth', { skip }, async () => {
  const good = await ScriptedServer.start(agree('STARTTLS', 'AUTH PLAIN'), certificate);
  const bad = await ScriptedServer.start(agree('AUTH PLAIN'));
  const home = makeHome({
    smtproutes: `good.example:127.0.0.1:${good.port}\nbad.example:localhost:${bad.port}\n`,
    tlspolicy: ':encrypt\n127.0.0.1:verify,name=relay.example,ca=control/ca.pem\n',
    'ca.pem': authority.pem,
    smtpauth: `127.0.0.1:${good.port} user @control/secret\n`,
    secret: 'password\n',
  });
  for (const name of ['smtpauth', 'secret']) chmodSync(join(home, 'control', name), 0o640);
  const hub = await HubProcess.start(home);
  try {
    await submit(hub.port, 'Subject: t\n\nx\n', 's@a.example', 'u@good.example', 'u@bad.example');
    await hub.untilLogged(/delivery\.success .*u@good\.example .*tls=TLSv1\.3/);
    const login = Buffer.from('\0user\0password').toString('base64');
    assert.ok(good.received[0]?.includes(`STARTTLS\r\nEHLO hub.example\r\nAUTH PLAIN ${login}\r\nMAIL FROM`));
    // There is no resolver for localhost on every host; either way it does not go out in clear.
    await hub.untilLogged(/delivery\.(deferral|failure) .*u@bad\.example/);
    assert.equal(bad.messages.length, 0);
  } finally {
    await hub.end('SIGKILL');
    await good.close();
    await bad.close();
    removeHome(home);
  }
});

test('the hub asks the resolver of control/dane for hosts and TLSA records', { skip }, async () => {
  const server = await ScriptedServer.start(agree('STARTTLS'), certificate);
  const { raw } = new X509Certificate(certificate.cert);
  const record = (digest: string) => [`3 0 1 ${digest}`];
  const zone = {
    'good.example A': ['127.0.0.1'],
    'bad.example A': ['127.0.0.1'],
    [`_${server.port}._tcp.good.example TLSA`]: record(createHash('sha256').update(raw).digest('hex')),
    [`_${server.port}._tcp.bad.example TLSA`]: record('00'.repeat(32)),
  };
  const dns = await startFakeDns({ host: '127.0.0.1', port: 0, zone }, { isSecure: () => true });
  const home = makeHome({
    smtproutes: `good.example:good.example:${server.port}\nbad.example:bad.example:${server.port}\n`,
    dane: `127.0.0.1:${dns.port}\n`,
  });
  const hub = await HubProcess.start(home);
  try {
    await submit(hub.port, 'Subject: t\n\nx\n', 's@a.example', 'u@good.example', 'u@bad.example');
    await hub.untilLogged(/delivery\.success .*u@good\.example .*tls=TLSv1\.3/);
    await hub.untilLogged(/delivery\.deferral .*u@bad\.example .*TLS is not as DANE wants: no TLSA record/);
    assert.equal(server.messages.length, 1);
  } finally {
    await hub.end('SIGKILL');
    await dns.stop();
    await server.close();
    removeHome(home);
  }
});

test('a mistake in one of the files stops the hub, and is named', async () => {
  for (const [name, content, want] of [
    [
      'tlspolicy',
      'a.example:encrypted\n',
      /Cannot understand \S+control\/tlspolicy: "encrypted" is not one of/,
    ],
    ['tlspolicy', 'a.example:verify,ca=nowhere\n', /Cannot read \S+nowhere: ENOENT/],
    [
      'tlspolicy',
      'a.example:verify,ca=control/me\n',
      /Cannot use \S+control\/me: no certificate stands in it/,
    ],
    [
      'dane',
      'localhost\n',
      /Cannot understand \S+control\/dane: "localhost" is not the address of a resolver/,
    ],
    ['dane', '127.0.0.1:99999\n', /Cannot understand \S+control\/dane/],
    ['locallmtp', '\n', /Cannot understand \S+control\/locallmtp/],
    [
      'smtpauth',
      'hidden\n',
      /Cannot understand \S+control\/smtpauth: entry 1 is not a relay, a user and a password/,
    ],
  ] as const) {
    const home = makeHome();
    writeFileSync(join(home, 'control', name), content, { mode: 0o600 });
    await assert.rejects(HubProcess.start(home), want, content);
    removeHome(home);
  }
});
