// Connections to the QMQP port of a hub with TLS: how their first bytes come, how long they may take, how many there may be.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { TlsHub } from '../support/tls-hub.ts';

const REQUEST = '29:5:x\n\ny\n,3:a@b,11:c@d.example,,';

let hub: TlsHub;

beforeEach(() => {
  hub = new TlsHub();
});
afterEach(() => hub.close());

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
  await hub.listen();
  const home = hub.addHost('web1.example');
  const [ca, cert, key] = ['ca.pem', 'host.pem', 'host.key'].map((name) =>
    readFileSync(join(home, 'control/tls', name)),
  );
  const exchange = async (at: number | 'everywhere', maxVersion: 'TLSv1.2' | 'TLSv1.3') => {
    const socket = connect({ host: '127.0.0.1', port: hub.bound.qmqp.port, noDelay: true });
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
  assert.match(hub.log, /tls=TLSv1\.2 .*\n(?:.*\n)*.*tls=TLSv1\.3 /);
});

test('a client may end its side before the answer', async () => {
  await hub.listen();
  const ca = readFileSync(join(hub.people.hub, 'control/tls/ca.pem'));
  const stream = connectTls({ host: '127.0.0.1', port: hub.bound.qmqp.port, servername: 'hub.example', ca });
  stream.allowHalfOpen = true;
  stream.end(REQUEST);
  const [reply] = await once(stream.setEncoding('latin1'), 'data');
  assert.match(reply, /^\d+:Kok /);
  stream.destroy();
});

test('a handshake has ten seconds, and so has whoever must show a certificate to begin one', async () => {
  await hub.listen();
  const begun = connect({ host: '127.0.0.1', port: hub.bound.qmqp.port });
  begun.write(Buffer.from('160301', 'hex'));
  await once(begun, 'connect');
  // Another client's whole exchange: whatever was sent before has been read by then.
  assert.equal((await hub.submit(hub.people.addStranger(), hub.plain())).exit, 0);
  hub.clock.advance(9_999);
  assert.doesNotMatch(hub.log, /handshake/);
  hub.clock.advance(1);
  await once(begun, 'close');
  assert.match(
    hub.log,
    /^qmqp\.refused ip=127\.0\.0\.1 reason="TLS handshake failed: handshake not over within 10 seconds"$/m,
  );
  hub.verdict = { allow: false, reason: 'not in control/qmqpclients' };
  const silent = connect({ host: '127.0.0.1', port: hub.bound.qmqp.port });
  await once(silent, 'connect');
  assert.equal((await hub.submit(hub.addHost('web1.example'), hub.plain('tls'))).exit, 0);
  hub.clock.advance(10_000);
  await once(silent, 'close');
});

test('of those who must show a certificate only some may wait at a time, and others are served', async () => {
  hub.verdict = { allow: false, reason: 'not in control/qmqpclients' };
  await hub.listen();
  const waiting: Socket[] = [];
  for (let i = 0; i < 20; i++) {
    const socket = connect({ host: '127.0.0.1', port: hub.bound.qmqp.port });
    waiting.push(socket);
    await once(socket, 'connect');
  }
  const home = hub.addHost('web1.example');
  assert.equal((await hub.submit(home, hub.plain('tls'))).exit, 74);
  assert.match(hub.log, /^qmqp\.refused ip=127\.0\.0\.1 reason="too many connections at once"$/m);
  hub.verdict = { allow: true };
  assert.equal((await hub.submit(home, hub.plain())).exit, 0);
  hub.verdict = { allow: false, reason: 'not in control/qmqpclients' };
  const first = waiting[0]!;
  first.destroy();
  await once(first, 'close');
  // Tried until the hub has seen that, too.
  while ((await hub.submit(home, hub.plain('tls'))).exit !== 0);
  for (const socket of waiting) socket.destroy();
});

test('what is not TLS in spite of its first byte is sent away, and the log says so', async () => {
  await hub.listen();
  const socket = connect({ host: '127.0.0.1', port: hub.bound.qmqp.port });
  socket.write(Buffer.concat([Buffer.from([0x16]), Buffer.alloc(400, 'x')]));
  socket.resume();
  await once(socket, 'close');
  assert.match(
    hub.log,
    /^qmqp\.refused ip=127\.0\.0\.1 reason="TLS handshake failed: it does not speak TLS"$/m,
  );
  assert.deepEqual(hub.messages, []);
});

test('a session is not taken up again: what was shown once does not count for ever', async () => {
  await hub.listen();
  const [ca, cert, key] = ['ca.pem', 'host.pem', 'host.key'];
  const home = hub.addHost('web1.example');
  const read = (name: string) => readFileSync(join(home, 'control/tls', name));
  const files = { ca: read(ca!), cert: read(cert!), key: read(key!), servername: 'hub.example' };
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    let session: Buffer | undefined;
    for (let i = 0; i < 2; i++) {
      const place = { host: '127.0.0.1', port: hub.bound.qmqp.port };
      const stream = connectTls({ ...place, ...files, maxVersion, ...(session && { session }) });
      stream.on('session', (given) => {
        session = given;
      });
      stream.write(REQUEST);
      const [reply] = await once(stream.setEncoding('latin1'), 'data');
      assert.match(reply, /^\d+:Kok /);
      assert.equal(stream.isSessionReused(), false);
      session ??= stream.getSession();
      stream.destroy();
    }
  }
  assert.equal(hub.log.match(/identity=web1\.example/g)?.length, 4);
});

test('a hub that stops sends those away who are in a handshake', async () => {
  await hub.listen();
  const socket = connect({ host: '127.0.0.1', port: hub.bound.qmqp.port });
  socket.on('error', () => undefined);
  socket.write(Buffer.from('160301', 'hex'));
  await once(socket, 'connect');
  assert.equal((await hub.submit(hub.people.addStranger(), hub.plain())).exit, 0);
  hub.log = '';
  await Promise.all([hub.listeners!.close(60_000), once(socket, 'close')]);
  assert.equal(hub.log, '');
});
