// Certificates and requests of ours as OpenSSL sees them, its requests as we see them, and its client against our port.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { signRequest } from '../../src/setup/identity-authority.ts';
import { HubProcess, qmqpRequest } from '../support/hub-process.ts';
import { makeIdentities } from '../support/identities.ts';
import { accepting, findPeer, freePort, missingPeers, runPeer } from '../support/peers.ts';
import { TlsHub } from '../support/tls-hub.ts';

const skip = missingPeers('openssl');
const NOW_MS = Date.now();

async function openssl(...args: string[]): Promise<string> {
  const [exit, printed] = await runPeer('openssl', args);
  assert.equal(exit, 0, printed);
  return printed;
}

test('openssl verifies what the authority issues, as strictly as it can, for its purpose only', {
  skip,
}, async () => {
  const people = makeIdentities(NOW_MS);
  const home = people.addHost('web1.example');
  const [ca, hub, host] = [people.hub, people.hub, home].map((folder, i) =>
    join(folder, 'control/tls', ['ca.pem', 'hub.pem', 'host.pem'][i]!),
  );
  const verify = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', ca!, '-purpose'];
  assert.match(await openssl(...verify, 'sslserver', '-verify_hostname', 'hub.example', hub!), /: OK\n$/);
  assert.match(await openssl(...verify, 'sslserver', '-verify_ip', '127.0.0.1', hub!), /: OK\n$/);
  assert.match(await openssl(...verify, 'sslclient', host!), /: OK\n$/);
  for (const [purpose, path] of [
    ['sslserver', host!],
    ['sslclient', hub!],
  ] as const) {
    const [exit] = await runPeer('openssl', [...verify, purpose, path]);
    assert.notEqual(exit, 0, `${path} as ${purpose}`);
  }
  const request = await openssl('req', '-verify', '-noout', '-in', join(home, 'control/tls/host.csr'));
  assert.match(request, /verify OK/);
  people.remove();
});

test('requests of openssl with keys of all kinds are signed, weak ones are not', { skip }, async () => {
  const people = makeIdentities(NOW_MS);
  const path = join(people.hub, 'request');
  const ca = join(people.hub, 'control/tls/ca.pem');
  const make = (...key: string[]) =>
    openssl(
      'req',
      '-new',
      '-nodes',
      '-subj',
      '/O=X/CN=web2.example',
      '-keyout',
      `${path}.key`,
      '-out',
      path,
      ...key,
    );
  const sign = () =>
    signRequest(
      { home: people.hub, nowMs: NOW_MS },
      { request: readFileSync(path), name: undefined, days: 1 },
    );
  for (const key of [
    ['-newkey', 'rsa:2048'],
    ['-newkey', 'rsa:2048', '-sha512'],
    ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1', '-sha384'],
    ['-newkey', 'ed25519', '-addext', 'subjectAltName=DNS:other.example'],
  ]) {
    await make(...key);
    writeFileSync(`${path}.pem`, sign());
    assert.match(
      await openssl('verify', '-x509_strict', '-CAfile', ca, '-purpose', 'sslclient', `${path}.pem`),
      /: OK/,
    );
    const names = await openssl('x509', '-in', `${path}.pem`, '-noout', '-subject', '-ext', 'subjectAltName');
    assert.match(names, /CN ?= ?web2\.example\n[\s\S]*DNS:web2\.example\n$/);
  }
  await make('-newkey', 'rsa:1024');
  assert.throws(sign, /Its key has 1024 bits/);
  await make('-newkey', 'rsa:2048', '-sha1');
  assert.throws(sign, /not known or not safe/);
  people.remove();
});

test("openssl's client hands over a message with TLS 1.2 and 1.3, known by its certificate", {
  skip,
}, async () => {
  const people = makeIdentities(NOW_MS);
  const home = people.addHost('web1.example');
  writeFileSync(join(people.hub, 'control/locals'), 'hub.example\n');
  const hub = await HubProcess.start(people.hub);
  const file = (name: string) => join(home, 'control/tls', name);
  for (const version of ['-tls1_2', '-tls1_3']) {
    const words = [
      's_client',
      '-connect',
      `127.0.0.1:${hub.port}`,
      version,
      '-quiet',
      '-verify_return_error',
    ];
    const files = ['-CAfile', file('ca.pem'), '-cert', file('host.pem'), '-key', file('host.key')];
    const child = spawn(findPeer('openssl')!, [...words, ...files, '-verify_hostname', 'hub.example'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let reply = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      reply += text;
    });
    child.stdin.write(qmqpRequest('x\n\ny\n', 'a@b.example', ['bob@hub.example']));
    await new Promise((resolve) => child.on('close', resolve));
    assert.match(reply, /^\d+:Kok \d+ qp \d+,$/);
  }
  await hub.untilLogged(/^accepted .* identity=web1\.example tls=TLSv1\.2 /m);
  await hub.untilLogged(/^accepted .* identity=web1\.example tls=TLSv1\.3 /m);
  assert.equal(await hub.end(), 0);
  people.remove();
});

test('a server that refuses our certificate by an alert has nothing, and the next one gets the message', {
  skip,
}, async () => {
  const hub = new TlsHub();
  await hub.listen();
  const port = await freePort();
  const file = (name: string) => join(hub.people.hub, 'control/tls', name);
  const home = hub.people.addStranger();
  for (const version of ['-tls1_2', '-tls1_3']) {
    const words = ['s_server', '-accept', `127.0.0.1:${port}`, version, '-quiet', '-Verify', '1'];
    const files = ['-cert', file('hub.pem'), '-key', file('hub.key'), '-CAfile', file('ca.pem')];
    const server = spawn(findPeer('openssl')!, [...words, ...files, '-verify_return_error'], {
      stdio: 'ignore',
    });
    try {
      await accepting(port);
      const strict = `qmqps://127.0.0.1:${port}`;
      const alone = await hub.submit(home, strict);
      assert.equal(alone.exit, 74, version);
      assert.match(alone.reason ?? '', /asks for a certificate/);
      assert.equal((await hub.submit(home, strict, hub.plain())).exit, 0, version);
      assert.equal(hub.messages.length, 1);
      hub.messages = [];
    } finally {
      const ended = new Promise((resolve) => server.on('close', resolve));
      server.kill();
      await ended;
    }
  }
  await hub.close();
});
