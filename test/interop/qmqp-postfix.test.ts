// Our QMQP client against Postfix: its test sink, and its real server with a queue, whose file shows that the message
// arrived byte for byte.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { accepting, findPeer, freePort, missingPeers, skipUnless } from '../support/peers.ts';
import { missingPostfix, startPostfix } from '../support/postfix.ts';
import { runClient } from '../support/run-client.ts';

const ENVELOPE = Buffer.from('Fa@b.example\0Tc@d.example\0Te@f.example\0\0');
const HEADER =
  'Message-Id: <1@b.example>\nDate: Sun, 22 Nov 2026 20:31:06 +0000\nFrom: a@b.example\nTo: c@d.example\nSubject: t\n';
const MESSAGE = Buffer.from(
  `${HEADER}\nbody\n.\n..two dots\nFrom here\n \tblanks \n\xe9\xff\n\nlast line\n`,
  'latin1',
);

let folder: string;
let peer: ChildProcess | undefined;
let stopPostfix: (() => Promise<void>) | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qmqp-postfix-'));
  // Postfix's own user has to get at its queue.
  chmodSync(folder, 0o755);
});
afterEach(async () => {
  if (peer !== undefined && peer.exitCode === null) {
    const ended = new Promise((resolve) => peer?.on('exit', resolve));
    peer.kill();
    await ended;
  }
  peer = undefined;
  await stopPostfix?.();
  stopPostfix = undefined;
  rmSync(folder, { recursive: true });
});

function skipSink(host: string): string | false {
  const addresses = Object.values(networkInterfaces()).flat();
  const isThere = addresses.some((one) => one?.address === host);
  return missingPeers('qmqp-sink') || skipUnless(isThere ? [] : [`this host has no address ${host}`]);
}

for (const [host, entry] of [
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '[::1]'],
] as const) {
  test(`qmail-qmqpc hands messages to Postfix's qmqp-sink on ${entry}`, {
    skip: skipSink(host),
  }, async () => {
    const port = await freePort(host);
    peer = spawn(findPeer('qmqp-sink') ?? '', [`inet:${entry}:${port}`, '10'], { stdio: 'ignore' });
    await accepting(port, host);
    const servers = `qmqp://${entry}:${port}`;
    for (const message of [MESSAGE, Buffer.alloc(0), Buffer.alloc(3_000_000, 'line of text\n')])
      assert.equal(await runClient({ home: folder, servers, message, envelope: ENVELOPE }), 0);
  });
}

test(`qmail-qmqpc hands a message to Postfix's QMQP server, which queues the same bytes`, {
  skip: missingPostfix(),
}, async () => {
  const port = await freePort();
  const { conf, stop } = await startPostfix(folder, port);
  stopPostfix = stop;
  const servers = `qmqp://127.0.0.1:${port}`;
  assert.equal(await runClient({ home: folder, servers, message: MESSAGE, envelope: ENVELOPE }), 0);
  const incoming = join(folder, 'queue/incoming');
  assert.ok(existsSync(incoming));
  const files = readdirSync(incoming);
  assert.equal(files.length, 1);
  const show = (what: string) =>
    execFileSync(findPeer('postcat') ?? '', ['-c', conf, what, join(incoming, files[0] ?? '')]).toString(
      'latin1',
    );
  const stored = show('-bh');
  assert.match(stored, /^Received: from [^\n]*\n\tby postfix\.example \(Postfix\) with QMQP/);
  assert.ok(stored.endsWith(MESSAGE.toString('latin1')), stored);
  const envelope = show('-e').match(/^(sender|recipient): .*$/gm);
  assert.deepEqual(envelope, ['sender: a@b.example', 'recipient: c@d.example', 'recipient: e@f.example']);
});
