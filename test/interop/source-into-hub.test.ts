// Postfix's generator into our hub, straight and through our qmail-qmqpd under the original tcpserver: everything is
// accepted, and each message is in the Maildir exactly once and whole. All have the same bytes, its process number for a
// Message-ID included, and none may be taken for another one.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { findPeer, missingPeers, runPeer } from '../support/peers.ts';

const SIZE = 2000;
const COUNT = Number(process.env['MINI_QMAIL_SOURCE_COUNT'] ?? 500);
const TROUBLE = /^(?:refused|qmqp\.|queue\.|delivery\.(?:deferral|failure|trouble)|bounce|admin\.)/m;

let home: string;
let hub: HubProcess;

beforeEach(async () => {
  home = makeHome({ locals: 'hub.example\n' });
  hub = await HubProcess.start(home);
});
afterEach(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

/** Lets Postfix's generator send; its exit code and what it complained about. */
function generate(port: number, count: number, sessions: number): ReturnType<typeof runPeer> {
  const counts = ['-s', String(sessions), '-m', String(count), '-l', String(SIZE)];
  const envelope = ['-f', 'source@peer.example', '-t', 'sink@hub.example'];
  return runPeer('qmqp-source', [...counts, ...envelope, `inet:127.0.0.1:${port}`]);
}

/** Resolves when the hub has logged that many deliveries. */
function untilDelivered(count: number): Promise<void> {
  return hub.untilLogged(/\ndelivery\.success /, count);
}

/** All messages are in the mailbox, each under a number of its own, whole, and nothing else was logged. */
async function assertAllArrived(count: number): Promise<void> {
  await untilDelivered(count);
  assert.equal(await hub.end(), 0);
  const messages = readMailbox(home, 'hub.example', 'sink');
  assert.equal(messages.length, count);
  for (const message of messages) {
    const [fields, payload] = splitTrace(message);
    assert.match(
      fields,
      /^Return-Path: <source@peer\.example>\nDelivered-To: sink@hub\.example\nReceived: from unknown/,
    );
    assert.match(payload, /^From: /);
    assert.equal(payload.length, SIZE);
  }
  const ids = [...hub.log.text.matchAll(/^delivery\.success id=(\d+) /gm)].map(([, id]) => id);
  assert.deepEqual([ids.length, new Set(ids).size], [count, count]);
  assert.doesNotMatch(hub.log.text, TROUBLE);
  assert.match(
    hub.log.text,
    new RegExp(`^hub\\.stopped messages=0 accepted=${count} resubmissions=0 finished=${count}$`, 'm'),
  );
}

/** A stored message as the fields that were put on top, and what the generator sent. */
function splitTrace(message: string): [string, string] {
  const from = message.indexOf('\nFrom: ') + 1;
  return [message.slice(0, from), message.slice(from)];
}

test(`the hub takes ${COUNT} messages of Postfix's qmqp-source over 20 connections and delivers each once`, {
  skip: missingPeers('qmqp-source'),
}, async (t) => {
  const start = performance.now();
  assert.deepEqual(await generate(hub.port, COUNT, 20), [0, '']);
  const accepted = performance.now();
  await untilDelivered(COUNT);
  const rate = (ms: number) => `${Math.round(ms)} ms, ${Math.round((COUNT * 1000) / ms)} a second`;
  t.diagnostic(
    `accepted in ${rate(accepted - start)}; accepted and delivered in ${rate(performance.now() - start)}`,
  );
  await assertAllArrived(COUNT);
});

test('60 messages through our qmail-qmqpd under tcpserver reach the hub, each once', {
  skip: missingPeers('qmqp-source', 'tcpserver'),
}, async () => {
  const gateway = makeHome({ me: 'gateway.example\n', qmqpservers: `qmqp://127.0.0.1:${hub.port}\n` });
  mkdirSync(join(gateway, 'bin'));
  symlinkSync(join(ROOT, 'bin/qmail-qmqpc'), join(gateway, 'bin/qmail-queue'));
  const { server, port } = await startTcpserver(gateway);
  try {
    assert.deepEqual(await generate(port, 60, 4), [0, '']);
    await assertAllArrived(60);
    const [message] = readMailbox(home, 'hub.example', 'sink');
    assert.match(
      message!,
      /\n {2}by hub\.example with QMQP;[^\n]*\nReceived: [^\n]*\n {2}by qmqp\.example with QMQP;/,
    );
  } finally {
    const ended = new Promise((resolve) => server.on('exit', resolve));
    server.kill();
    await ended;
    removeHome(gateway);
  }
});

async function startTcpserver(gateway: string): Promise<{ server: ChildProcess; port: number }> {
  const args = ['-1', '-H', '-R', '-l', 'qmqp.example', '127.0.0.1', '0', join(ROOT, 'bin/qmail-qmqpd')];
  const server = spawn(findPeer('tcpserver') ?? '', args, {
    env: { PATH: '/usr/bin:/bin', QMAILHOME: gateway },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve) =>
    server.stdout.once('data', (line) => resolve(Number(line))),
  );
  return { server, port };
}
