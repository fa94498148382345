// Our qmail-qmqpd under the original tcpserver: messages from Postfix's generator and from our own client arrive, each
// exactly once and unchanged.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parseQueueEnvelope } from '../../src/core/format/queue-envelope.ts';
import { ROOT } from '../support/client-vectors.ts';
import { findPeer, missingPeers } from '../support/peers.ts';
import { runClient } from '../support/run-client.ts';

let folder: string;
let server: ChildProcess;
let port: number;

beforeEach(async () => {
  if (findPeer('tcpserver') === undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'tcpserver-qmqpd-'));
  mkdirSync(join(folder, 'control'));
  const recorder = `#!/bin/sh\nR='${folder}'\ncat >"$R/message.$$"; cat <&1 >"$R/envelope.$$"\n`;
  writeFileSync(join(folder, 'recorder'), recorder, { mode: 0o755 });
  const args = ['-1', '-H', '-R', '-l', 'qmqp.example', '127.0.0.1', '0', join(ROOT, 'bin/qmail-qmqpd')];
  server = spawn(findPeer('tcpserver') ?? '', args, {
    env: { PATH: '/usr/bin:/bin', QMAILHOME: folder, QMAILQUEUE: join(folder, 'recorder') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  port = await new Promise((resolve) => server.stdout?.once('data', (line) => resolve(Number(line))));
});
afterEach(async () => {
  if (findPeer('tcpserver') === undefined) return;
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill();
  await ended;
  rmSync(folder, { recursive: true });
});

/** What the recorder was given: all messages without their first field, and all envelopes. */
function queued(): { message: string; envelope: string[] | undefined }[] {
  const pids = readdirSync(folder).filter((name) => name.startsWith('message.'));
  return pids.map((name) => {
    const text = readFileSync(join(folder, name), 'latin1');
    const field = /^Received: from unknown \(127\.0\.0\.1\)\n {2}by qmqp\.example with QMQP; .* -0000\n/;
    assert.match(text, field);
    const envelope = parseQueueEnvelope(readFileSync(join(folder, name.replace('message', 'envelope'))));
    return {
      message: text.replace(field, ''),
      envelope:
        envelope && [envelope.sender, ...envelope.recipients].map((a) => Buffer.from(a).toString('latin1')),
    };
  });
}

test("qmail-qmqpd under tcpserver takes 100 messages of Postfix's qmqp-source, each once", {
  skip: missingPeers('tcpserver', 'qmqp-source'),
}, async () => {
  const options = ['-m', '100', '-s', '4', '-l', '2000', '-r', '2', '-f', 's@x.example', '-t', 'r@y.example'];
  const source = spawn(findPeer('qmqp-source') ?? '', [...options, `inet:127.0.0.1:${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  source.stderr.on('data', (text) => {
    complaints += text;
  });
  const exit = await new Promise((resolve) => source.on('close', resolve));
  assert.deepEqual([exit, complaints], [0, '']);
  const messages = queued();
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
  const servers = `qmqp://127.0.0.1:${port}`;
  assert.equal(await runClient({ home: folder, servers, message, envelope }), 0);
  const [only, ...more] = queued();
  assert.equal(more.length, 0);
  assert.deepEqual(only?.envelope, ['s', 'r@y', '']);
  assert.ok(only.message === message.toString('latin1'));
});
