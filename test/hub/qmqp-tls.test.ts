// Who may hand over mail by TLS: certificates of hosts and of the hub, good ones and bad ones, on both ports of a hub.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fingerprintOf } from '../../src/host/certificate-facts.ts';
import { createLineLog } from '../../src/host/log.ts';
import { readQmqpTls } from '../../src/hub/qmqp-listeners.ts';
import { renewHub, revokeIdentity } from '../../src/setup/identity-authority.ts';
import { makeIdentities } from '../support/identities.ts';
import { TlsHub } from '../support/tls-hub.ts';

const DAY_MS = 86_400_000;

let hub: TlsHub;

beforeEach(() => {
  hub = new TlsHub();
});
afterEach(() => hub.close());

test('a host with a certificate is known by it: in the Received field and in the log, on both ports', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  for (const server of [hub.plain('tls'), hub.secure(), hub.secure('gzip')]) {
    hub.log = '';
    assert.equal((await hub.submit(home, server)).exit, 0);
    assert.match(
      hub.messages.at(-1) ?? '',
      /^Received: from unknown \(web1\.example@127\.0\.0\.1\)\n {2}by hub\.example with QMQP; /,
    );
    assert.match(
      hub.log,
      /^accepted id=\d ip=127\.0\.0\.1 identity=web1\.example tls=TLSv1\.3 sender=a@b\.example /,
    );
  }
});

test('the log names a host also when its request is broken', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  const read = (name: string) => readFileSync(join(home, 'control/tls', name));
  const files = { ca: read('ca.pem'), cert: read('host.pem'), key: read('host.key') };
  const stream = connectTls({
    host: '127.0.0.1',
    port: hub.bound.qmqp.port,
    ...files,
    servername: 'hub.example',
  });
  stream.write('x');
  stream.resume();
  await once(stream, 'close');
  assert.match(hub.log, /^qmqp\.lost ip=127\.0\.0\.1 identity=web1\.example reason="bad-length while /);
});

test('the usual port takes plain requests and TLS, with and without a certificate', async () => {
  await hub.listen();
  assert.equal((await hub.submit(hub.people.addStranger(), hub.plain())).exit, 0);
  assert.equal((await hub.submit(hub.people.addStranger(), hub.plain('tls'))).exit, 0);
  assert.equal(hub.messages.length, 2);
  assert.match(hub.messages[1] ?? '', /^Received: from unknown \(127\.0\.0\.1\)\n/);
  assert.match(
    hub.log,
    /^accepted id=1 ip=127\.0\.0\.1 sender=.*\naccepted id=2 ip=127\.0\.0\.1 tls=TLSv1\.3 sender=/,
  );
});

test('where TLS is demanded a plain client is told so, and nothing of its message is taken', async () => {
  await hub.listen();
  const result = await hub.submit(hub.addHost('web1.example'), hub.secure().replace('qmqps', 'qmqp'));
  assert.equal(result.exit, 71);
  assert.match(result.reason ?? '', /: it answered: sorry, this server takes mail by TLS only \(#4\.7\.0\)$/);
  assert.equal(hub.log, 'qmqp.refused ip=127.0.0.1 reason="TLS is demanded here"\n');
  assert.deepEqual(hub.messages, []);
});

test('a large plain request is read to its end before the client hears that TLS is demanded', async () => {
  await hub.listen();
  const size = 3_000_000;
  const socket = connect({ host: '127.0.0.1', port: hub.bound.qmqps!.port });
  socket.write(`${size}:${size - 20}:`);
  socket.write(Buffer.alloc(size));
  const [reply] = await once(socket.setEncoding('latin1'), 'data');
  assert.match(reply, /^\d+:Zsorry, this server takes mail by TLS only/);
  socket.destroy();
});

test('control/qmqptls demands TLS on the usual port, or a certificate', async () => {
  writeFileSync(join(hub.people.hub, 'control/qmqptls'), 'required\n');
  await hub.listen();
  assert.equal((await hub.submit(hub.people.addStranger(), hub.plain())).exit, 71);
  assert.equal((await hub.submit(hub.people.addStranger(), hub.plain('tls'))).exit, 0);
  await hub.listeners!.close(0);
  writeFileSync(join(hub.people.hub, 'control/qmqptls'), 'certificate\n');
  await hub.listen();
  const result = await hub.submit(hub.people.addStranger(), hub.secure());
  assert.equal(result.exit, 71);
  assert.match(result.reason ?? '', /sorry, this server asks for a certificate \(#4\.7\.0\)$/);
  assert.match(hub.log, /^qmqp\.refused ip=127\.0\.0\.1 reason="no certificate"$/m);
  assert.equal((await hub.submit(hub.addHost('web1.example'), hub.plain('tls'))).exit, 0);
});

test('what control/qmqptls and the files of TLS do not make possible keeps the hub from starting', async () => {
  await hub.listen();
  const rows: [Record<string, string | undefined>, RegExp][] = [
    [{ qmqptls: 'maybe' }, /qmqptls: "maybe" is neither required nor certificate/],
    [{ qmqptls: 'certificate', tlsclients: undefined }, /tlsclients is missing/],
    [{ tlsclients: 'subject' }, /tlsclients: nothing behind subject/],
    [{ 'tls/hub.key': undefined }, /Cannot read .*tls\/hub\.key/],
    [{ 'tls/hub.pem': 'x' }, /Cannot use .*tls\/hub\.pem/],
    [{ 'tls/hub.pem': undefined }, /Cannot demand TLS: .*hub\.pem is missing/],
  ];
  for (const [files, want] of rows) {
    const one = makeIdentities(hub.nowMs);
    for (const [name, text] of Object.entries(files)) {
      const path = join(one.hub, 'control', name);
      if (text === undefined) rmSync(path);
      else writeFileSync(path, text);
    }
    const quiet = createLineLog(() => undefined);
    assert.throws(() => readQmqpTls(one.hub, { isDemanded: true, clock: hub.clock, log: quiet }), want);
    one.remove();
  }
});

test('an address that may not connect can with a certificate, and is told so without one', async () => {
  hub.verdict = { allow: false, reason: 'not in control/qmqpclients' };
  await hub.listen();
  assert.equal((await hub.submit(hub.addHost('web1.example'), hub.plain('tls'))).exit, 0);
  const refused = await hub.submit(hub.people.addStranger(), hub.plain('tls'));
  assert.equal(refused.exit, 71);
  assert.match(refused.reason ?? '', /asks for a certificate, or an address that it knows/);
  assert.match(hub.log, /reason="not in control\/qmqpclients, and no certificate"\n$/);
  hub.log = '';
  assert.equal((await hub.submit(hub.addHost('web2.example'), hub.plain())).exit, 74);
  assert.equal(hub.log, 'qmqp.refused ip=127.0.0.1 reason="not in control/qmqpclients"\n');
  assert.equal(hub.messages.length, 1);
});

test('certificates of hosts that are no good are refused, and both sides are told why', async () => {
  await hub.listen();
  const other = makeIdentities(hub.nowMs);
  const stranger = other.addHost('web9.example');
  copyFileSync(join(hub.people.hub, 'control/tls/ca.pem'), join(stranger, 'control/tls/ca.pem'));
  appendFileSync(join(hub.people.hub, 'control/tlsclients'), 'subject web9.example\n');
  const revoked = hub.addHost('web3.example');
  revokeIdentity(hub.people.hub, 'web3.example');
  const unlisted = hub.addHost('web4.example');
  const list = join(hub.people.hub, 'control/tlsclients');
  writeFileSync(list, readFileSync(list, 'latin1').replace(/^fingerprint .* web4\.example\n/m, ''));
  hub.clock.advance(1000);
  const rows: [string, string, string][] = [
    ['web2.example', hub.addHost('web2.example', -1), 'has expired'],
    ['web3.example', revoked, 'is revoked'],
    ['web4.example', unlisted, 'is not in control/tlsclients'],
    ['web9.example', stranger, 'is from no authority that is trusted here'],
  ];
  hub.clock.advance(1000);
  for (const [name, home, reason] of rows) {
    hub.log = '';
    const result = await hub.submit(home, hub.secure());
    assert.equal(result.exit, 71, name);
    assert.match(
      result.reason ?? '',
      new RegExp(`sorry, the certificate of ${name} ${reason} \\(#4\\.7\\.0\\)$`),
    );
    const digits = '[0-9a-f]{64}';
    assert.match(
      hub.log,
      new RegExp(
        `^qmqp\\.refused ip=127\\.0\\.0\\.1 certificate=${name} fingerprint=sha256:${digits} reason="certificate ${reason}"\n$`,
      ),
    );
  }
  assert.deepEqual(hub.messages, []);
  other.remove();
});

test('one is revoked without a restart, another is still welcome', async () => {
  await hub.listen();
  const [first, second] = [hub.addHost('web1.example'), hub.addHost('web2.example')];
  assert.equal((await hub.submit(first, hub.secure())).exit, 0);
  revokeIdentity(hub.people.hub, 'web1.example');
  hub.clock.advance(1000);
  assert.equal((await hub.submit(first, hub.secure())).exit, 71);
  assert.equal((await hub.submit(second, hub.secure())).exit, 0);
  // Also not by its address: what it shows counts.
  assert.equal((await hub.submit(first, hub.plain('tls'))).exit, 71);
});

test('a certificate that is listed itself needs no authority', async () => {
  await hub.listen();
  const other = makeIdentities(hub.nowMs);
  const home = other.addHost('web9.example');
  copyFileSync(join(hub.people.hub, 'control/tls/ca.pem'), join(home, 'control/tls/ca.pem'));
  const certificate = new X509Certificate(readFileSync(join(home, 'control/tls/host.pem')));
  appendFileSync(
    join(hub.people.hub, 'control/tlsclients'),
    `fingerprint ${fingerprintOf(certificate)} nine\n`,
  );
  hub.clock.advance(1000);
  assert.equal((await hub.submit(home, hub.secure())).exit, 0);
  assert.match(hub.log, /identity=nine /);
  other.remove();
});

test('names in the list stand for certificates of the authority', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  const list = join(hub.people.hub, 'control/tlsclients');
  for (const [line, exit] of [
    ['subject *.example', 0],
    ['subject web2.example', 71],
    ['subject *\n-subject web1.example', 71],
  ] as const) {
    writeFileSync(list, `${line}\n`);
    hub.clock.advance(1000);
    assert.equal((await hub.submit(home, hub.secure())).exit, exit, line);
  }
});

test('a list that cannot be understood lets nobody in by certificate, and the log says where', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  const list = join(hub.people.hub, 'control/tlsclients');
  appendFileSync(list, 'fingerprint x\n');
  hub.clock.advance(1000);
  const result = await hub.submit(home, hub.secure());
  assert.equal(result.exit, 71);
  assert.match(result.reason ?? '', /cannot be judged now, control\/tlsclients is in disorder/);
  assert.match(hub.log, /^qmqp\.tls-trouble reason="Cannot use .*tlsclients: .*x.* is not sha256/);
  assert.equal((await hub.submit(hub.people.addStranger(), hub.secure())).exit, 0);
  writeFileSync(list, readFileSync(list, 'latin1').replace('fingerprint x\n', ''));
  hub.clock.advance(1000);
  assert.equal((await hub.submit(home, hub.secure())).exit, 0);
});

test('a new certificate of the hub counts without a restart, and one that is no good does not', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  renewHub({ home: hub.people.hub, nowMs: hub.nowMs }, ['new.example']);
  hub.clock.advance(1000);
  assert.equal((await hub.submit(home, hub.secure('name=new.example'))).exit, 0);
  writeFileSync(join(hub.people.hub, 'control/tls/hub.pem'), 'x');
  hub.clock.advance(1000);
  assert.equal((await hub.submit(home, hub.secure('name=new.example'))).exit, 0);
  assert.match(
    hub.log,
    /^qmqp\.tls-trouble reason="Cannot use .*hub\.pem: .*; what was read before is used"$/m,
  );
});

test('a hub that is not what its line says gets nothing, and the next server gets the message', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  const other = makeIdentities(hub.nowMs);
  const [wrongCa, caOfOther] = [other.addStranger(), join(other.hub, 'control/tls/ca.pem')];
  const rows: [string, string, RegExp][] = [
    [wrongCa, hub.secure(), /its certificate is from no authority that is trusted here/],
    [home, hub.secure(`ca=${caOfOther}`), /its certificate is from no authority that is trusted here/],
    [
      home,
      hub.secure('name=other.example'),
      /TLS with other\.example failed: its certificate is for another name/,
    ],
    [home, hub.secure('ca=control/tls/none.pem'), /Cannot read .*none\.pem/],
    [home, hub.secure('cert=control/tls/ca.pem key=control/tls/host.key'), /key values mismatch/],
  ];
  for (const [from, server, want] of rows) {
    const alone = await hub.submit(from, server);
    assert.equal(alone.exit, 74, server);
    assert.match(alone.reason ?? '', want, server);
    assert.deepEqual(hub.messages, []);
    assert.equal((await hub.submit(from, server, hub.plain())).exit, 0);
    hub.messages = [];
  }
  assert.match(
    hub.log,
    /reason="TLS handshake failed: the client ended it; it may not trust control\/tls\/hub\.pem"/,
  );
  assert.equal((await hub.submit(home, hub.secure('name=hub.example'))).exit, 0);
  other.remove();
});

test('a hub that has lost its certificate while it runs refuses TLS, and plain requests where TLS is demanded', async () => {
  await hub.listen();
  const home = hub.addHost('web1.example');
  rmSync(join(hub.people.hub, 'control/tls/hub.pem'));
  hub.clock.advance(1000);
  const [secure, clear] = [
    await hub.submit(home, hub.secure()),
    await hub.submit(home, hub.secure().replace('qmqps', 'qmqp')),
  ];
  assert.deepEqual([secure.exit, clear.exit], [74, 71]);
  assert.match(hub.log, /reason="TLS handshake failed: there is no certificate"/);
  assert.equal((await hub.submit(home, hub.plain())).exit, 0);
});

test('a hub whose certificate has expired gets nothing', async () => {
  renewHub({ home: hub.people.hub, nowMs: hub.nowMs - 900 * DAY_MS }, []);
  await hub.listen();
  const result = await hub.submit(hub.addHost('web1.example'), hub.secure());
  assert.equal(result.exit, 74);
  assert.match(result.reason ?? '', /: TLS with 127\.0\.0\.1 failed: its certificate has expired$/);
  assert.match(hub.log, /^qmqp\.tls-trouble reason=".*hub\.pem has expired: it was valid to /);
});

test('TLS to a port that does not have it fails at once, and the next server gets the message', async () => {
  const bare = hub.people.addStranger();
  await hub.listen(bare);
  const home = hub.addHost('web1.example');
  const alone = await hub.submit(home, hub.plain('tls'));
  assert.equal(alone.exit, 74);
  assert.match(alone.reason ?? '', /TLS with 127\.0\.0\.1 failed: /);
  assert.equal((await hub.submit(home, hub.plain('tls'), hub.plain())).exit, 0);
  assert.equal(hub.messages.length, 1);
});
