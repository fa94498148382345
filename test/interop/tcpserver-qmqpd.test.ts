// Our qmail-qmqpd under the original tcpserver: messages from Postfix's generator and from our own client arrive, each
// exactly once and unchanged.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { findPeer, missingPeers, runPeer } from '../support/peers.ts';
import { type RecordingTcpserver, startRecordingTcpserver } from '../support/recording-tcpserver.ts';
import { runClient } from '../support/run-client.ts';

let server: RecordingTcpserver;

beforeEach(async () => {
  if (findPeer('tcpserver') !== undefined) server = await startRecordingTcpserver('qmail-qmqpd');
});
afterEach(async () => {
  if (findPeer('tcpserver') !== undefined) await server.stop();
});

test("qmail-qmqpd under tcpserver takes 100 messages of Postfix's qmqp-source, each once", {
  skip: missingPeers('tcpserver', 'qmqp-source'),
}, async () => {
  const options = ['-m', '100', '-s', '4', '-l', '2000', '-r', '2', '-f', 's@x.example', '-t', 'r@y.example'];
  const ended = await runPeer('qmqp-source', [...options, `inet:127.0.0.1:${server.port}`]);
  assert.deepEqual(ended, [0, '']);
  const messages = server.queued('QMQP');
  assert.equal(messages.length, 100);
  for (const { message, envelope } of messages) {
    assert.equal(message.length, 2000);
    assert.deepEqual(envelope, ['s@x.example', '0r@y.example', '1r@y.example']);
  }
});

test('qmail-qmqpd under tcpserver takes a message of our qmail-qmqpc unchanged', {
  skip: missingPeers('tcpserver'),
}, async () => {
  const message = Buffer.concat([
    Buffer.from('Subject: x\n\n\0\r\n.\n'),
    Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * i) % 251)),
  ]);
  const envelope = Buffer.from('Fs\0Tr@y\0T\0\0');
  const servers = `qmqp://127.0.0.1:${server.port}`;
  assert.equal(await runClient({ home: server.home, servers, message, envelope }), 0);
  const [only, ...more] = server.queued('QMQP');
  assert.equal(more.length, 0);
  assert.deepEqual(only?.envelope, ['s', 'r@y', '']);
  assert.ok(only.message === message.toString('latin1'));
});
