// The accounts of this machine by name: /etc/passwd, then, where the system has other sources too (directories on the
// network, say), what getent knows. Invariant: an answer has the name that was asked for, never that of a number that looks like it.
// Source: passwd(5), getent(1).

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { copyBytes, equalBytes } from '../core/bytes/bytes.ts';
import { LineCutter } from '../core/bytes/line-cutter.ts';
import { type Account, parseAccount } from '../core/format/passwd.ts';

/** Finds an account by name; `busy` when that cannot be told at the moment. */
export type FindAccount = (name: Uint8Array) => Account | undefined | 'busy';

const PASSWD = '/etc/passwd';
const GETENT = ['/usr/bin/getent', '/bin/getent'];
const GETENT_NOT_FOUND = 2;
const GETENT_MAX_MS = 30_000;

/** The machine's accounts as they are now; /etc/passwd is read once for all questions. */
export function openAccounts(): FindAccount {
  let passwd: Uint8Array;
  try {
    passwd = readFileSync(PASSWD);
  } catch {
    return () => 'busy';
  }
  const getent = GETENT.find((path) => existsSync(path));
  return (name) => findInText(passwd, name) ?? (getent === undefined ? undefined : askGetent(getent, name));
}

/** The first account of that name in a list of accounts. */
export function findInText(passwd: Uint8Array, name: Uint8Array): Account | undefined {
  let found: Account | undefined;
  const cutter = new LineCutter((line) => {
    if (found !== undefined) return;
    const account = parseAccount(line);
    if (account !== undefined && equalBytes(account.name, name)) found = parseAccount(copyBytes(line));
  });
  cutter.receive(passwd);
  cutter.receiveEnd();
  return found;
}

function askGetent(getent: string, name: Uint8Array): Account | undefined | 'busy' {
  const word = Buffer.from(name).toString();
  // Node cannot hand on what is not UTF-8, and no account is called so.
  if (word === '' || !Buffer.from(word).equals(name)) return undefined;
  const { status, stdout } = spawnSync(getent, ['passwd', '--', word], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: GETENT_MAX_MS,
  });
  if (status === 0) return findInText(stdout, name);
  return status === GETENT_NOT_FOUND ? undefined : 'busy';
}
