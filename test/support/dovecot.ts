// Dovecot with a configuration of its own in a folder of the test: LMTP into Maildirs, and its answer to whether a password is
// right. It listens on socket files there, and nothing of it stays behind.

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
import { findPeer, missingPeers, skipUnless } from './peers.ts';

/** Why Dovecot cannot be started here, or false. */
export function missingDovecot(): string | false {
  const hasLmtp = existsSync('/usr/lib/dovecot/lmtp');
  return missingPeers('dovecot') || skipUnless(hasLmtp ? [] : ["Dovecot's LMTP server is not installed"]);
}

// Dovecot delivers as nobody who is root.
const { uid, gid } = userInfo().uid === 0 ? { uid: 65_534, gid: 65_534 } : userInfo();

/** A running Dovecot. */
export interface Dovecot {
  /** Its LMTP socket. */
  readonly lmtp: string;
  /** The socket where Postfix asks for passwords. */
  readonly auth: string;
  /** Contents of the messages in a user's Maildir, in no order. */
  messagesOf(user: string): string[];
  stop(): Promise<void>;
}

/** A user's password, and more fields of `userdb` such as `quota_rule=*:bytes=1000`. */
export interface DovecotUser {
  readonly password?: string;
  readonly fields?: readonly string[];
}

/** Starts Dovecot for these users, by their addresses. */
export async function startDovecot(users: Readonly<Record<string, DovecotUser>>): Promise<Dovecot> {
  const folder = mkdtempSync(join(tmpdir(), 'dovecot-'));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'mail'));
  chmodSync(join(folder, 'mail'), 0o777);
  writeFileSync(join(folder, 'users'), Object.entries(users).map(userLine(folder)).join(''));
  writeFileSync(join(folder, 'conf'), settingsFor(folder).join('\n'));
  const dovecot = spawn(findPeer('dovecot') ?? '', ['-F', '-c', join(folder, 'conf')], { stdio: 'ignore' });
  const ended = new Promise((resolve) => dovecot.on('exit', resolve));
  const [lmtp, auth] = [join(folder, 'lmtp'), join(folder, 'auth')];
  for (const path of [lmtp, auth])
    while (!(await isListening(path))) {
      if (dovecot.exitCode !== null) throw new Error(`Dovecot has ended: ${dovecot.exitCode}`);
      await new Promise(setImmediate);
    }
  return {
    ...{ lmtp, auth },
    messagesOf(user) {
      const arrived = join(folder, 'mail', user, 'new');
      if (!existsSync(arrived)) return [];
      return readdirSync(arrived).map((name) => readFileSync(join(arrived, name), 'latin1'));
    },
    async stop() {
      dovecot.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

function userLine(folder: string) {
  return ([address, { password = '', fields = [] }]: [string, DovecotUser]) => {
    const extra = fields.map((field) => `userdb_${field}`).join(' ');
    return `${address}:{PLAIN}${password}:${uid}:${gid}::${folder}/mail::${extra}\n`;
  };
}

function settingsFor(folder: string): string[] {
  return [
    `base_dir = ${folder}/run`,
    `log_path = ${folder}/log`,
    'ssl = no',
    'protocols = lmtp',
    'first_valid_uid = 1',
    'auth_mechanisms = plain login',
    'auth_failure_delay = 0',
    'disable_plaintext_auth = no',
    `mail_location = maildir:${folder}/mail/%u`,
    `passdb {\n driver = passwd-file\n args = ${folder}/users\n}`,
    `userdb {\n driver = passwd-file\n args = ${folder}/users\n}`,
    `service lmtp {\n unix_listener ${folder}/lmtp {\n mode = 0666\n }\n}`,
    `service auth {\n unix_listener ${folder}/auth {\n mode = 0666\n }\n}`,
    'mail_plugins = quota',
    'plugin {\n quota = maildir:mail\n quota_grace = 0\n}',
    '',
  ];
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => resolve(socket.destroy() !== undefined));
    socket.on('error', () => resolve(false));
  });
}
