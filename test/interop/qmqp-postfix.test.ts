// Our QMQP client against Postfix: its test sink, and its real server with a queue, whose file shows that the message
// arrived byte for byte.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { accepting, findPeer, freePort, missingPeers, skipUnless } from '../support/peers.ts';
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

const isRoot = process.getuid?.() === 0;
const NEEDED = ['postfix', 'postcat', 'master', 'qmqpd', 'cleanup', 'trivial-rewrite'];
const skipPostfix = missingPeers(...NEEDED) || skipUnless(isRoot ? [] : ['Postfix is started by root only']);

/** Starts Postfix with a configuration and queue of its own: QMQP in, and nothing that takes messages out. */
async function startPostfix(port: number): Promise<string> {
  const conf = join(folder, 'conf');
  cpSync('/etc/postfix', conf, { recursive: true });
  for (const name of ['queue', 'data']) mkdirSync(join(folder, name));
  const daemons = dirname(findPeer('qmqpd') ?? '');
  writeFileSync(
    join(conf, 'main.cf'),
    [
      'compatibility_level = 3.6',
      `queue_directory = ${folder}/queue`,
      `data_directory = ${folder}/data`,
      `command_directory = ${dirname(findPeer('postfix') ?? '')}`,
      `daemon_directory = ${daemons}`,
      'mail_owner = postfix',
      'setgid_group = postdrop',
      'myhostname = postfix.example',
      'inet_interfaces = 127.0.0.1',
      'mydestination =',
      `maillog_file = ${folder}/log`,
      `maillog_file_prefixes = ${folder}`,
      'qmqpd_authorized_clients = 127.0.0.1',
      '',
    ].join('\n'),
  );
  writeFileSync(
    join(conf, 'master.cf'),
    [
      `127.0.0.1:${port} inet n - n - - qmqpd`,
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'postlog unix-dgram n - n - 1 postlogd',
      '',
    ].join('\n'),
  );
  const owner = statSync('/var/lib/postfix', { throwIfNoEntry: false });
  if (owner !== undefined) chownSync(join(folder, 'data'), owner.uid, owner.gid);
  peer = spawn(findPeer('postfix') ?? '', ['-c', conf, 'start-fg'], { stdio: 'ignore' });
  await accepting(port);
  return conf;
}

test(`qmail-qmqpc hands a message to Postfix's QMQP server, which queues the same bytes`, {
  skip: skipPostfix,
}, async () => {
  const port = await freePort();
  const conf = await startPostfix(port);
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
