// What the doctor's probe finds of other people's QMQP servers, and that none of them takes it for a message.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ProbeResult, probeServer } from '../../src/doctor/probe-server.ts';
import { findPeer, freePort, missingPeers } from '../support/peers.ts';
import { missingPostfix, startPostfix } from '../support/postfix.ts';
import { startRecordingTcpserver } from '../support/recording-tcpserver.ts';
import { startTcpserver } from '../support/tcpserver-process.ts';

const HOST = '127.0.0.1';

function probe(port: number, options: { hub?: string } = {}): Promise<ProbeResult> {
  return probeServer({ host: HOST, port, ...options }, HOST, () => Promise.reject(new Error('no TLS here')));
}

for (const isAllowed of [true, false]) {
  test(`the probe sees whether Postfix would take mail: ${isAllowed}`, {
    skip: missingPostfix(),
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'doctor-postfix-'));
    // Postfix's own user has to get at its queue.
    chmodSync(folder, 0o755);
    const port = await freePort();
    const settings = { qmqpd_authorized_clients: isAllowed ? HOST : '192.0.2.1' };
    const { stop } = await startPostfix(folder, port, { settings });
    try {
      const result = await probe(port);
      if (isAllowed) assert.equal(result.kind, 'takes-mail', JSON.stringify(result));
      else {
        assert.equal(result.kind, 'refused');
        assert.match(result.text, /not authorized/);
      }
      for (const queue of ['incoming', 'active', 'deferred'])
        assert.deepEqual(readdirSync(join(folder, 'queue', queue)), []);
    } finally {
      await stop();
      rmSync(folder, { recursive: true });
    }
  });
}

test('the probe sees a server of QMQP below the original tcpserver, which queues nothing', {
  skip: missingPeers('tcpserver'),
}, async () => {
  const server = await startRecordingTcpserver('qmail-qmqpd');
  try {
    assert.equal((await probe(server.port)).kind, 'takes-mail');
    assert.equal((await probe(server.port, { hub: '' })).kind, 'takes-mail');
    const complete = readdirSync(server.home)
      .filter((name) => name.startsWith('envelope.'))
      .filter((name) => readFileSync(join(server.home, name)).length > 0);
    assert.deepEqual(complete, []);
  } finally {
    await server.stop();
  }
});

test('the probe sees that the rules of the original tcpserver deny it', {
  skip: missingPeers('tcpserver', 'tcprules'),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-rules-'));
  const words =
    'printf ":deny\\n" | "$1" rules.cdb rules.tmp && exec "$2" -1 -H -R -l x -x rules.cdb "$3" 0 cat';
  const server = startTcpserver({
    program: '/bin/sh',
    args: ['-c', words, 'sh', findPeer('tcprules') ?? '', findPeer('tcpserver') ?? '', HOST],
    env: { PATH: '/usr/bin:/bin' },
    folder,
  });
  try {
    assert.deepEqual(await probe(await server.port()), { kind: 'closed-at-once' });
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
});
