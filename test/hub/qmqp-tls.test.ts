// QMQP by TLS: the hub's ports and our client in one process, with a queue of the test's making, real sockets, and time that
// stands still.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type SubmissionResult, submitByQmqp } from '../../src/client/qmqp-submit.ts';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { parseServerVariable } from '../../src/core/format/server-list.ts';
import { createLineLog } from '../../src/host/log.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import type { ClientVerdict } from '../../src/hub/client-judge.ts';
import { QmqpListeners, type QmqpPlaces, readQmqpTls } from '../../src/hub/qmqp-listeners.ts';
import type { Envelope } from '../../src/queue/queue.ts';
import { fingerprintOf, renewHub, revokeIdentity } from '../../src/setup/identity-authority.ts';
import { type Identities, makeIdentities } from '../support/identities.ts';

const NOW_MS = Date.now();
const DAY_MS = 86_400_000;
const LOCALHOST = { host: '127.0.0.1', port: 0 };
const REQUEST = '29:5:x\n\ny\n,3:a@b,11:c@d.example,,';

let people: Identities;
let clock: ManualClock;
let listeners: QmqpListeners;
let bound: QmqpPlaces;
let messages: string[];
let log: string;
let verdict: ClientVerdict;

beforeEach(() => {
  people = makeIdentities(NOW_MS);
  clock = new ManualClock(NOW_MS);
  messages = [];
  log = '';
  verdict = { allow: true };
});
afterEach(async () => {
  const closed = listeners.close(0);
  clock.advance(0);
  await closed;
  people.remove();
});

const queue = {
  begin() {
    let text = '';
    const commit = async (_: Envelope) => messages.push(text);
    return {
      write(bytes: Uint8Array): undefined {
        text += textOf(bytes);
      },
      commit,
      commitOnce: async (envelope: Envelope) => ({ id: await commit(envelope), isResubmission: false }),
      abort: () => undefined,
    };
  },
};

/** Opens both ports of the hub in that home. */
async function listen(home = people.hub): Promise<void> {
  const lines = createLineLog((line) => {
    log += line;
  });
  const options = {
    queue,
    classify: (address: Uint8Array) => ({ channel: 'local', address }) as const,
    judge: () => verdict,
    me: 'hub.example',
    limits: {},
    connectionCountMax: 1000,
    ...{ idleMs: 300_000, clock, log: lines },
  };
  const qmqps = home === people.hub ? LOCALHOST : undefined;
  const settings = readQmqpTls(home, { isDemanded: qmqps !== undefined, clock, log: lines });
  listeners = new QmqpListeners(options, settings, { qmqp: LOCALHOST, qmqps });
  bound = await listeners.listen();
}

const plain = (words = '') => `qmqp://127.0.0.1:${bound.qmqp.port} ${words}`;
const secure = (words = '') => `qmqps://127.0.0.1:${bound.qmqps?.port} ${words}`;

/** Adds a host; the hub looks at its list once a second. @returns the host's home */
function addHost(name: string, days?: number): string {
  const home = people.addHost(name, days);
  clock.advance(1000);
  return home;
}

/** Submits a message from that home to those servers. */
function submit(home: string, ...servers: string[]): Promise<SubmissionResult> {
  return submitByQmqp({
    home,
    servers: { servers: parseServerVariable(bytesOf(servers.join('\n'))) },
    message: [bytesOf('Subject: x\n\nb\n')],
    envelope: bytesOf('Fa@b.example\0Tc@d.example\0\0'),
  });
}

test('a host with a certificate is known by it: in the Received field and in the log, on both ports', async () => {
  await listen();
  const home = addHost('web1.example');
  for (const server of [plain('tls'), secure(), secure('gzip')]) {
    log = '';
    assert.equal((await submit(home, server)).exit, 0);
    assert.match(
      messages.at(-1) ?? '',
      /^Received: from unknown \(web1\.example@127\.0\.0\.1\)\n {2}by hub\.example with QMQP; /,
    );
    assert.match(
      log,
      /^accepted id=\d ip=127\.0\.0\.1 identity=web1\.example tls=TLSv1\.3 sender=a@b\.example /,
    );
  }
});

test('the usual port takes plain requests and TLS, with and without a certificate', async () => {
  await listen();
  assert.equal((await submit(people.addStranger(), plain())).exit, 0);
  assert.equal((await submit(people.addStranger(), plain('tls'))).exit, 0);
  assert.equal(messages.length, 2);
  assert.match(messages[1] ?? '', /^Received: from unknown \(127\.0\.0\.1\)\n/);
  assert.match(
    log,
    /^accepted id=1 ip=127\.0\.0\.1 sender=.*\naccepted id=2 ip=127\.0\.0\.1 tls=TLSv1\.3 sender=/,
  );
});

test('where TLS is demanded a plain client is told so, and nothing of its message is taken', async () => {
  await listen();
  const result = await submit(addHost('web1.example'), secure().replace('qmqps', 'qmqp'));
  assert.equal(result.exit, 71);
  assert.match(result.reason ?? '', /: it answered: sorry, this server takes mail by TLS only \(#4\.7\.0\)$/);
  assert.equal(log, 'qmqp.refused ip=127.0.0.1 reason="TLS is demanded here"\n');
  assert.deepEqual(messages, []);
});

test('a large plain request is read to its end before the client hears that TLS is demanded', async () => {
  await listen();
  const size = 3_000_000;
  const socket = connect({ host: '127.0.0.1', port: bound.qmqps!.port });
  socket.write(`${size}:${size - 20}:`);
  socket.write(Buffer.alloc(size));
  const [reply] = await once(socket.setEncoding('latin1'), 'data');
  assert.match(reply, /^\d+:Zsorry, this server takes mail by TLS only/);
  socket.destroy();
});

test('control/qmqptls demands TLS on the usual port, or a certificate', async () => {
  writeFileSync(join(people.hub, 'control/qmqptls'), 'required\n');
  await listen();
  assert.equal((await submit(people.addStranger(), plain())).exit, 71);
  assert.equal((await submit(people.addStranger(), plain('tls'))).exit, 0);
  await listeners.close(0);
  writeFileSync(join(people.hub, 'control/qmqptls'), 'certificate\n');
  await listen();
  const result = await submit(people.addStranger(), secure());
  assert.equal(result.exit, 71);
  assert.match(result.reason ?? '', /sorry, this server asks for a certificate \(#4\.7\.0\)$/);
  assert.match(log, /^qmqp\.refused ip=127\.0\.0\.1 reason="no certificate"$/m);
  assert.equal((await submit(addHost('web1.example'), plain('tls'))).exit, 0);
});

test('what control/qmqptls and the files of TLS do not make possible keeps the hub from starting', async () => {
  await listen();
  const rows: [Record<string, string | undefined>, RegExp][] = [
    [{ qmqptls: 'maybe' }, /qmqptls: "maybe" is neither required nor certificate/],
    [{ qmqptls: 'certificate', tlsclients: undefined }, /tlsclients is missing/],
    [{ tlsclients: 'subject' }, /tlsclients: nothing behind subject/],
    [{ 'tls/hub.key': undefined }, /Cannot read .*tls\/hub\.key/],
    [{ 'tls/hub.pem': 'x' }, /Cannot use .*tls\/hub\.pem/],
    [{ 'tls/hub.pem': undefined }, /Cannot demand TLS: .*hub\.pem is missing/],
  ];
  for (const [files, want] of rows) {
    const one = makeIdentities(NOW_MS);
    for (const [name, text] of Object.entries(files)) {
      const path = join(one.hub, 'control', name);
      if (text === undefined) rmSync(path);
      else writeFileSync(path, text);
    }
    const quiet = createLineLog(() => undefined);
    assert.throws(() => readQmqpTls(one.hub, { isDemanded: true, clock, log: quiet }), want);
    one.remove();
  }
});

test('an address that may not connect can with a certificate, and is told so without one', async () => {
  verdict = { allow: false, reason: 'not in control/qmqpclients' };
  await listen();
  assert.equal((await submit(addHost('web1.example'), plain('tls'))).exit, 0);
  const refused = await submit(people.addStranger(), plain('tls'));
  assert.equal(refused.exit, 71);
  assert.match(refused.reason ?? '', /asks for a certificate, or an address that it knows/);
  assert.match(log, /reason="not in control\/qmqpclients, and no certificate"\n$/);
  log = '';
  assert.equal((await submit(addHost('web2.example'), plain())).exit, 74);
  assert.equal(log, 'qmqp.refused ip=127.0.0.1 reason="not in control/qmqpclients"\n');
  assert.equal(messages.length, 1);
});

test('certificates of hosts that are no good are refused, and both sides are told why', async () => {
  await listen();
  const other = makeIdentities(NOW_MS);
  const stranger = other.addHost('web9.example');
  copyFileSync(join(people.hub, 'control/tls/ca.pem'), join(stranger, 'control/tls/ca.pem'));
  appendFileSync(join(people.hub, 'control/tlsclients'), 'subject web9.example\n');
  const revoked = addHost('web3.example');
  revokeIdentity(people.hub, 'web3.example');
  const unlisted = addHost('web4.example');
  const list = join(people.hub, 'control/tlsclients');
  writeFileSync(list, readFileSync(list, 'latin1').replace(/^fingerprint .* web4\.example\n/m, ''));
  clock.advance(1000);
  const rows: [string, string, string][] = [
    ['web2.example', addHost('web2.example', -1), 'has expired'],
    ['web3.example', revoked, 'is revoked'],
    ['web4.example', unlisted, 'is not in control/tlsclients'],
    ['web9.example', stranger, 'is from no authority that is trusted here'],
  ];
  clock.advance(1000);
  for (const [name, home, reason] of rows) {
    log = '';
    const result = await submit(home, secure());
    assert.equal(result.exit, 71, name);
    assert.match(
      result.reason ?? '',
      new RegExp(`sorry, the certificate of ${name} ${reason} \\(#4\\.7\\.0\\)$`),
    );
    const digits = '[0-9a-f]{64}';
    assert.match(
      log,
      new RegExp(
        `^qmqp\\.refused ip=127\\.0\\.0\\.1 certificate=${name} fingerprint=sha256:${digits} reason="certificate ${reason}"\n$`,
      ),
    );
  }
  assert.deepEqual(messages, []);
  other.remove();
});

test('one is revoked without a restart, another is still welcome', async () => {
  await listen();
  const [first, second] = [addHost('web1.example'), addHost('web2.example')];
  assert.equal((await submit(first, secure())).exit, 0);
  revokeIdentity(people.hub, 'web1.example');
  clock.advance(1000);
  assert.equal((await submit(first, secure())).exit, 71);
  assert.equal((await submit(second, secure())).exit, 0);
  // Also not by its address: what it shows counts.
  assert.equal((await submit(first, plain('tls'))).exit, 71);
});

test('a certificate that is listed itself needs no authority', async () => {
  await listen();
  const other = makeIdentities(NOW_MS);
  const home = other.addHost('web9.example');
  copyFileSync(join(people.hub, 'control/tls/ca.pem'), join(home, 'control/tls/ca.pem'));
  const certificate = new X509Certificate(readFileSync(join(home, 'control/tls/host.pem')));
  appendFileSync(join(people.hub, 'control/tlsclients'), `fingerprint ${fingerprintOf(certificate)} nine\n`);
  clock.advance(1000);
  assert.equal((await submit(home, secure())).exit, 0);
  assert.match(log, /identity=nine /);
  other.remove();
});

test('names in the list stand for certificates of the authority', async () => {
  await listen();
  const home = addHost('web1.example');
  const list = join(people.hub, 'control/tlsclients');
  for (const [line, exit] of [
    ['subject *.example', 0],
    ['subject web2.example', 71],
    ['subject *\n-subject web1.example', 71],
  ] as const) {
    writeFileSync(list, `${line}\n`);
    clock.advance(1000);
    assert.equal((await submit(home, secure())).exit, exit, line);
  }
});

test('a list that cannot be understood lets nobody in by certificate, and the log says where', async () => {
  await listen();
  const home = addHost('web1.example');
  const list = join(people.hub, 'control/tlsclients');
  appendFileSync(list, 'fingerprint x\n');
  clock.advance(1000);
  const result = await submit(home, secure());
  assert.equal(result.exit, 71);
  assert.match(result.reason ?? '', /cannot be judged now, control\/tlsclients is in disorder/);
  assert.match(log, /^qmqp\.tls-trouble reason="Cannot use .*tlsclients: .*x.* is not sha256/);
  assert.equal((await submit(people.addStranger(), secure())).exit, 0);
  writeFileSync(list, readFileSync(list, 'latin1').replace('fingerprint x\n', ''));
  clock.advance(1000);
  assert.equal((await submit(home, secure())).exit, 0);
});

test('a new certificate of the hub counts without a restart, and one that is no good does not', async () => {
  await listen();
  const home = addHost('web1.example');
  renewHub({ home: people.hub, nowMs: NOW_MS }, ['new.example']);
  clock.advance(1000);
  assert.equal((await submit(home, secure('name=new.example'))).exit, 0);
  writeFileSync(join(people.hub, 'control/tls/hub.pem'), 'x');
  clock.advance(1000);
  assert.equal((await submit(home, secure('name=new.example'))).exit, 0);
  assert.match(log, /^qmqp\.tls-trouble reason="Cannot use .*hub\.pem: .*; what was read before is used"$/m);
});

test('a hub that is not what its line says gets nothing, and the next server gets the message', async () => {
  await listen();
  const home = addHost('web1.example');
  const other = makeIdentities(NOW_MS);
  const [wrongCa, caOfOther] = [other.addStranger(), join(other.hub, 'control/tls/ca.pem')];
  const rows: [string, string, RegExp][] = [
    [wrongCa, secure(), /its certificate is from no authority that is trusted here/],
    [home, secure(`ca=${caOfOther}`), /its certificate is from no authority that is trusted here/],
    [
      home,
      secure('name=other.example'),
      /TLS with other\.example failed: its certificate is for another name/,
    ],
    [home, secure('ca=control/tls/none.pem'), /Cannot read .*none\.pem/],
    [home, secure('cert=control/tls/ca.pem key=control/tls/host.key'), /key values mismatch/],
  ];
  for (const [from, server, want] of rows) {
    const alone = await submit(from, server);
    assert.equal(alone.exit, 74, server);
    assert.match(alone.reason ?? '', want, server);
    assert.deepEqual(messages, []);
    assert.equal((await submit(from, server, plain())).exit, 0);
    messages = [];
  }
  assert.match(
    log,
    /reason="TLS handshake failed: the client ended it; it may not trust control\/tls\/hub\.pem"/,
  );
  assert.equal((await submit(home, secure('name=hub.example'))).exit, 0);
  other.remove();
});

test('a hub whose certificate has expired gets nothing', async () => {
  renewHub({ home: people.hub, nowMs: NOW_MS - 900 * DAY_MS }, []);
  await listen();
  const result = await submit(addHost('web1.example'), secure());
  assert.equal(result.exit, 74);
  assert.match(result.reason ?? '', /: TLS with 127\.0\.0\.1 failed: its certificate has expired$/);
});

test('TLS to a port that does not have it fails at once, and the next server gets the message', async () => {
  const bare = people.addStranger();
  await listen(bare);
  const home = addHost('web1.example');
  const alone = await submit(home, plain('tls'));
  assert.equal(alone.exit, 74);
  assert.match(alone.reason ?? '', /TLS with 127\.0\.0\.1 failed: /);
  assert.equal((await submit(home, plain('tls'), plain())).exit, 0);
  assert.equal(messages.length, 1);
});

/** A stream on a socket that sends its first bytes in two parts, or all bytes one by one. */
function splitting(socket: Socket, at: number | 'everywhere'): Duplex {
  let isFirst = true;
  const send = async (bytes: Buffer) => {
    const cuts = at === 'everywhere' ? Array.from(bytes.keys()) : [0, Math.min(at, bytes.length)];
    for (const [i, from] of cuts.entries()) {
      const part = bytes.subarray(from, cuts[i + 1] ?? bytes.length);
      if (part.length > 0) await new Promise((resolve) => socket.write(part, resolve));
      await new Promise(setImmediate);
    }
  };
  const stream = new Duplex({
    read: () => socket.resume(),
    write(bytes: Buffer, _, done) {
      if (isFirst || at === 'everywhere') send(bytes).then(() => done(), done);
      else socket.write(bytes, done);
      isFirst = false;
    },
    final: (done) => socket.end(done),
    destroy(_, done) {
      socket.destroy();
      done(null);
    },
  });
  socket.on('data', (bytes) => void stream.push(bytes));
  socket.on('end', () => void stream.push(null));
  socket.on('error', () => undefined);
  return stream;
}

test('the first bytes of TLS may come in any two parts, or one by one', async () => {
  await listen();
  const home = addHost('web1.example');
  const [ca, cert, key] = ['ca.pem', 'host.pem', 'host.key'].map((name) =>
    readFileSync(join(home, 'control/tls', name)),
  );
  const exchange = async (at: number | 'everywhere', maxVersion: 'TLSv1.2' | 'TLSv1.3') => {
    const socket = connect({ host: '127.0.0.1', port: bound.qmqp.port, noDelay: true });
    await once(socket, 'connect');
    const stream = connectTls({
      socket: splitting(socket, at),
      ...{ ca, cert, key, maxVersion, servername: 'hub.example' },
    });
    stream.write(REQUEST);
    const [reply] = await once(stream.setEncoding('latin1'), 'data');
    stream.destroy();
    return reply;
  };
  // A hello that shares a key of the new kind has more than a thousand bytes.
  for (let at = 1; at < 1800; at += at < 100 ? 1 : 29)
    assert.match(await exchange(at, at % 2 === 0 ? 'TLSv1.2' : 'TLSv1.3'), /^\d+:Kok /, `split at ${at}`);
  assert.match(await exchange('everywhere', 'TLSv1.3'), /^\d+:Kok /);
  assert.match(log, /tls=TLSv1\.2 .*\n(?:.*\n)*.*tls=TLSv1\.3 /);
});

test('a client may end its side before the answer', async () => {
  await listen();
  const ca = readFileSync(join(people.hub, 'control/tls/ca.pem'));
  const stream = connectTls({ host: '127.0.0.1', port: bound.qmqp.port, servername: 'hub.example', ca });
  stream.allowHalfOpen = true;
  stream.end(REQUEST);
  const [reply] = await once(stream.setEncoding('latin1'), 'data');
  assert.match(reply, /^\d+:Kok /);
  stream.destroy();
});

test('a handshake has ten seconds, and so has whoever must show a certificate to begin one', async () => {
  await listen();
  const begun = connect({ host: '127.0.0.1', port: bound.qmqp.port });
  begun.write(Buffer.from('160301', 'hex'));
  await once(begun, 'connect');
  // Another client's whole exchange: whatever was sent before has been read by then.
  assert.equal((await submit(people.addStranger(), plain())).exit, 0);
  clock.advance(9_999);
  assert.doesNotMatch(log, /handshake/);
  clock.advance(1);
  await once(begun, 'close');
  assert.match(
    log,
    /^qmqp\.refused ip=127\.0\.0\.1 reason="TLS handshake failed: handshake not over within 10 seconds"$/m,
  );
  verdict = { allow: false, reason: 'not in control/qmqpclients' };
  const silent = connect({ host: '127.0.0.1', port: bound.qmqp.port });
  await once(silent, 'connect');
  assert.equal((await submit(addHost('web1.example'), plain('tls'))).exit, 0);
  clock.advance(10_000);
  await once(silent, 'close');
});

test('of those who must show a certificate only some may wait at a time, and others are served', async () => {
  verdict = { allow: false, reason: 'not in control/qmqpclients' };
  await listen();
  const waiting: Socket[] = [];
  for (let i = 0; i < 20; i++) {
    const socket = connect({ host: '127.0.0.1', port: bound.qmqp.port });
    waiting.push(socket);
    await once(socket, 'connect');
  }
  const home = addHost('web1.example');
  assert.equal((await submit(home, plain('tls'))).exit, 74);
  assert.match(log, /^qmqp\.refused ip=127\.0\.0\.1 reason="too many connections at once"$/m);
  verdict = { allow: true };
  assert.equal((await submit(home, plain())).exit, 0);
  verdict = { allow: false, reason: 'not in control/qmqpclients' };
  const first = waiting[0]!;
  first.destroy();
  await once(first, 'close');
  // Tried until the hub has seen that, too.
  while ((await submit(home, plain('tls'))).exit !== 0);
  for (const socket of waiting) socket.destroy();
});

test('what is not TLS in spite of its first byte is sent away, and the log says so', async () => {
  await listen();
  const socket = connect({ host: '127.0.0.1', port: bound.qmqp.port });
  socket.write(Buffer.concat([Buffer.from([0x16]), Buffer.alloc(400, 'x')]));
  socket.resume();
  await once(socket, 'close');
  assert.match(log, /^qmqp\.refused ip=127\.0\.0\.1 reason="TLS handshake failed: it does not speak TLS"$/m);
  assert.deepEqual(messages, []);
});
