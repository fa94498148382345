// The names and passwords with which relays are spoken to, from control/smtpauth and the files it names.
// Invariant: a file with a password that everybody may read stops the hub at its start; no password is in any error's text.

import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { textOf } from '../core/bytes/bytes.ts';
import { parseControlLine } from '../core/format/control-file.ts';
import { parseSmtpLogins } from '../core/format/smtp-login.ts';
import type { Destination } from '../core/policy/route.ts';
import { readControlList } from '../host/control.ts';
import { SystemError } from '../host/system-error.ts';

/** How to log in to a relay. */
export interface SmtpLogin {
  readonly user: string;
  readonly password: string;
  /** Whether the password may be sent without TLS. */
  readonly inClear: boolean;
}

/** Logins by relay, `host` or `host:port` in lower case. */
export type SmtpLogins = ReadonlyMap<string, SmtpLogin>;

const READABLE_BY_ALL = 0o004;

/**
 * Reads `HOME/control/smtpauth`, which may be missing, and the files that it names, relative to HOME.
 * @throws SystemError when one cannot be read or understood, or may be read by everybody
 */
export function readSmtpLogins(home: string): SmtpLogins {
  const path = `${home}/control/smtpauth`;
  const lines = readControlList(home, 'smtpauth');
  if (lines === undefined) return new Map();
  refuseOpenFile(path);
  const entries = parseSmtpLogins(lines);
  if (typeof entries === 'string') throw new SystemError('understand', path, entries);
  return new Map(
    entries.map(({ relay, user, secret, inClear }) => {
      const password = 'path' in secret ? readSecret(resolve(home, secret.path)) : secret.password;
      return [relay, { user: utf8Of(user), password: utf8Of(password), inClear }];
    }),
  );
}

/** The login for a destination; undefined if there is none. Only relays of smtproutes have one. */
export function findSmtpLogin(
  logins: SmtpLogins,
  { routed, host, port }: Destination,
): SmtpLogin | undefined {
  return routed ? (logins.get(`${host}:${port}`) ?? logins.get(host)) : undefined;
}

function readSecret(path: string): string {
  let line: Uint8Array;
  try {
    line = parseControlLine(readFileSync(path));
  } catch (error) {
    throw new SystemError('read', path, error);
  }
  refuseOpenFile(path);
  if (line.length === 0)
    throw new SystemError('use', path, 'its first line is empty, where a password should be');
  return textOf(line);
}

function refuseOpenFile(path: string): void {
  const { mode } = statSync(path);
  if ((mode & READABLE_BY_ALL) === 0) return;
  throw new SystemError('use', path, 'it holds a password and everybody may read it; try chmod 640');
}

/** One character per byte becomes text, for a session that sends UTF-8. */
function utf8Of(text: string): string {
  return Buffer.from(text, 'latin1').toString();
}
