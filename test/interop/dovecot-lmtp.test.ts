// The hub in front of Dovecot: local mail by LMTP on a socket, each recipient with Dovecot's own answer, and the message in
// its Maildir with every byte that it had.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';
import { findPeer, missingPeers, skipUnless } from '../support/peers.ts';

const isThere = existsSync('/usr/lib/dovecot/lmtp');
const skip = missingPeers('dovecot') || skipUnless(isThere ? [] : ["Dovecot's LMTP server is not installed"]);

// Dovecot delivers as nobody who is root.
const { uid, gid } = userInfo().uid === 0 ? { uid: 65_534, gid: 65_534 } : userInfo();

/** Runs Dovecot with the mailbox known@hub.example below a folder; its LMTP socket is `lmtp` in there. */
async function withDovecot(check: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dovecot-'));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'mail'));
  chmodSync(join(folder, 'mail'), 0o777);
  writeFileSync(join(folder, 'users'), `known@hub.example::${uid}:${gid}::${folder}/mail\n`);
  const settings = [
    `base_dir = ${folder}/run`,
    `log_path = ${folder}/log`,
    'ssl = no',
    'protocols = lmtp',
    'first_valid_uid = 1',
    `mail_location = maildir:${folder}/mail/%u`,
    'passdb {\n driver = static\n args = nopassword=y\n}',
    `userdb {\n driver = passwd-file\n args = ${folder}/users\n}`,
    `service lmtp {\n unix_listener ${folder}/lmtp {\n mode = 0666\n }\n}`,
  ];
  writeFileSync(join(folder, 'conf'), `${settings.join('\n')}\n`);
  const dovecot = spawn(findPeer('dovecot') ?? '', ['-F', '-c', join(folder, 'conf')], { stdio: 'ignore' });
  const ended = new Promise((resolve) => dovecot.on('exit', resolve));
  try {
    while (!(await isListening(join(folder, 'lmtp')))) {
      assert.equal(dovecot.exitCode, null, 'Dovecot has ended');
      await new Promise(setImmediate);
    }
    await check(folder);
  } finally {
    dovecot.kill();
    await ended;
    rmSync(folder, { recursive: true });
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => resolve(socket.destroy() !== undefined));
    socket.on('error', () => resolve(false));
  });
}

test("Dovecot's LMTP server takes local mail of the hub, and says whom it does not know", { skip }, () =>
  withDovecot(async (folder) => {
    const home = makeHome({ locallmtp: `${folder}/lmtp\n`, smtproutes: ':127.0.0.1:1\n' });
    const hub = await HubProcess.start(home);
    try {
      const lines = Array.from({ length: 2000 }, (_, i) => `${'.'.repeat(i % 3)}line ${i} \xe9`);
      const message = `From: joe@hub.example\nSubject: t\n\n${lines.join('\n')}\n`;
      assert.match(
        await submit(hub.port, message, 'joe@far.example', 'known@hub.example', 'no@hub.example'),
        /^K/,
      );
      await hub.untilLogged(
        /delivery\.success .*recipient=known@hub\.example text="\S+lmtp accepted message\./,
      );
      await hub.untilLogged(
        /delivery\.failure .*recipient=no@hub\.example text="\S+lmtp does not like recipient\.\/Remote host said: 550 5\.1\.1/,
      );
      const arrived = join(folder, 'mail/known@hub.example/new');
      const [name = '', ...more] = readdirSync(arrived);
      assert.deepEqual(more, []);
      const stored = readFileSync(join(arrived, name), 'latin1').replaceAll('\r\n', '\n');
      assert.ok(stored.endsWith(message.slice(message.indexOf('From:'))));
      assert.match(stored, /^Return-Path: <joe@far\.example>\nDelivered-To: known@hub\.example\n/);
    } finally {
      await hub.end('SIGKILL');
      removeHome(home);
    }
  }),
);
