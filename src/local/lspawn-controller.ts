// Who gets the mail of a local address, as qmail-lspawn finds it: users/cdb, then, where the installation says so, the program
// qmail-getpw. The helper looks for itself: whoever asks for a delivery names an address, never a user.
// Source: the qmail-lspawn manual page.

import { spawn } from 'node:child_process';
import { concatBytes } from '../core/bytes/bytes.ts';
import { type Assignment, parseAssignment } from '../core/format/users-assign.ts';
import { LSPAWN_EXIT } from '../core/policy/local-report.ts';
import { findInUsersCdb, readLocalDelivery } from '../host/users-cdb.ts';

const GETPW_BYTES_MAX = 65_536;
const GETPW_MAX_MS = 60_000;

/** Where the installation and the program are. */
export interface ControllerPlaces {
  readonly home: string;
  /** Path of qmail-getpw. */
  readonly getpw: string;
}

/**
 * The user who gets the mail of a local part; `nobody` if the hub's own mailboxes have it, a number if it cannot be told: the exit
 * code that says why. @throws SystemError when control/localdelivery cannot be read
 */
export async function findAssignedUser(
  local: Uint8Array,
  { home, getpw }: ControllerPlaces,
): Promise<Assignment | 'nobody' | number> {
  const mode = readLocalDelivery(home);
  if (mode === 'mail') return 'nobody';
  let data: Uint8Array | undefined;
  try {
    data = findInUsersCdb(home, local)?.data;
  } catch {
    return LSPAWN_EXIT.cdb;
  }
  if (data === undefined && mode === 'users') return 'nobody';
  const record = data ?? (await askGetpw(getpw, local, home));
  if (typeof record === 'number') return record;
  return parseAssignment(record) ?? LSPAWN_EXIT.bug;
}

/** What qmail-getpw prints, or the exit code that it ends with. */
function askGetpw(program: string, local: Uint8Array, home: string): Promise<Uint8Array | number> {
  const child = spawn(program, [Buffer.from(local).toString()], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, QMAILHOME: home },
    timeout: GETPW_MAX_MS,
    killSignal: 'SIGKILL',
  });
  const pieces: Uint8Array[] = [];
  let length = 0;
  child.stdout.on('data', (piece: Uint8Array) => {
    length += piece.length;
    if (length <= GETPW_BYTES_MAX) pieces.push(piece);
  });
  return new Promise((resolve) => {
    child.on('error', () => resolve(LSPAWN_EXIT.noGetpw));
    child.on('close', (code) => {
      if (code === 0) resolve(length <= GETPW_BYTES_MAX ? concatBytes(pieces) : LSPAWN_EXIT.temporary);
      else resolve(code ?? LSPAWN_EXIT.temporary);
    });
  });
}
