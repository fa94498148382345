// qmail-getpw: which account of this machine controls a local address: the one of that name, else of the longest part before a
// dash, else the account `alias`. Accounts that do not own their home, or are root's, get no mail.
// Source: the qmail-getpw manual page.

import { statSync } from 'node:fs';
import { bytesOf, concatBytes, lowerCase } from '../core/bytes/bytes.ts';
import type { Account } from '../core/format/passwd.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { isTemporaryError } from '../host/error-text.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { type FindAccount, openAccounts } from './getpw-accounts.ts';

const STDOUT = 1;
const DASH = 45;
const NAME_MAX = 31;
const ALIAS = bytesOf('alias');
const NOTHING = new Uint8Array(0);
const NUL = bytesOf('\0');

/** Exit codes that qmail-lspawn knows. */
const EXIT_USAGE = 100;
const EXIT_NFS = 115;
const EXIT_NO_ALIAS = 116;
const EXIT_BUSY = 118;

/** What {@link findController} asks the system. */
export interface AccountSource {
  readonly find: FindAccount;
  /** The user id that a folder belongs to, undefined if it is not there. @throws Error of the system */
  readonly ownerOf: (folder: Uint8Array) => number | undefined;
}

/** The record of whoever controls the address, six fields that end in NUL; or the exit code that says why there is none. */
export function findController(local: Uint8Array, { find, ownerOf }: AccountSource): Uint8Array | number {
  for (let end = local.length; end >= 0; end--) {
    if (end > NAME_MAX || (end < local.length && local[end] !== DASH)) continue;
    const account = find(lowerCase(local.subarray(0, end)));
    if (account === 'busy') return EXIT_BUSY;
    if (account === undefined || account.uid === 0) continue;
    try {
      if (ownerOf(account.home) !== account.uid) continue;
    } catch {
      return EXIT_NFS;
    }
    return end === local.length
      ? formatRecord(account, NOTHING, NOTHING)
      : formatRecord(account, bytesOf('-'), local.subarray(end + 1));
  }
  const alias = find(ALIAS);
  if (alias === 'busy') return EXIT_BUSY;
  return alias === undefined ? EXIT_NO_ALIAS : formatRecord(alias, bytesOf('-'), local);
}

function formatRecord(account: Account, dash: Uint8Array, ext: Uint8Array): Uint8Array {
  const { name, home } = account;
  const fields = [name, bytesOf(String(account.uid)), bytesOf(String(account.gid)), home, dash, ext];
  return concatBytes(fields.flatMap((field) => [field, NUL]));
}

/** The accounts and folders of this machine. */
export function openAccountSource(): AccountSource {
  return { find: openAccounts(), ownerOf };
}

function ownerOf(folder: Uint8Array): number | undefined {
  try {
    return statSync(Buffer.from(folder)).uid;
  } catch (error) {
    if (isTemporaryError(error)) throw error;
    return undefined;
  }
}

/** Runs qmail-getpw to its end; returns its exit code. */
export function runQmailGetpw({ args }: Pick<ProgramCall, 'args'>): number {
  const [local] = args;
  if (local === undefined) return EXIT_USAGE;
  const record = findController(local, openAccountSource());
  if (typeof record === 'number') return record;
  writeBlocking(STDOUT, record);
  return 0;
}
