// control/smtpauth: with which name and password a relay is spoken to. Lines `RELAY USER PASSWORD`, where RELAY is a host or
// host:port as in smtproutes, and PASSWORD may be `@FILE`; a fourth word `clear` lets the password go without TLS.
// Words are separated by spaces and tabs. Nothing of a line but its number is ever told: it holds a secret.

import { findByte, lowerCase, textOf } from '../bytes/bytes.ts';

/** One line. */
export interface SmtpLoginEntry {
  /** Host or host:port, in lower case. */
  readonly relay: string;
  /** One character per byte. */
  readonly user: string;
  /** The password, one character per byte, or the path of the file that holds it. */
  readonly secret: { readonly password: string } | { readonly path: string };
  /** Whether it may be sent without TLS. */
  readonly inClear: boolean;
}

const BLANKS = [32, 9];
const NUL = 0;

/** Reads the lines of the list file. @returns the entries, or what is wrong with the first line that cannot be understood */
export function parseSmtpLogins(lines: readonly Uint8Array[]): SmtpLoginEntry[] | string {
  const entries: SmtpLoginEntry[] = [];
  for (let i = 0; i < lines.length; i++) {
    const words = splitWords(lines[i]!);
    const [relay, user, password, option] = words;
    const isClear = option !== undefined && textOf(option) === 'clear';
    if (
      relay === undefined ||
      user === undefined ||
      password === undefined ||
      words.length > (isClear ? 4 : 3)
    ) {
      return `entry ${i + 1} is not a relay, a user and a password, with or without "clear" behind`;
    }
    if (findByte(lines[i]!, NUL) >= 0) return `entry ${i + 1} has a NUL`;
    const text = textOf(password);
    const isPath = text.charAt(0) === '@';
    if (isPath && text.length === 1) return `entry ${i + 1} has no file name behind its @`;
    entries.push({
      relay: textOf(lowerCase(relay)),
      user: textOf(user),
      secret: isPath ? { path: text.substring(1) } : { password: text },
      inClear: isClear,
    });
  }
  return entries;
}

function splitWords(line: Uint8Array): Uint8Array[] {
  const words: Uint8Array[] = [];
  for (let at = 0; at < line.length; ) {
    if (BLANKS.indexOf(line[at]!) >= 0) {
      at++;
      continue;
    }
    const from = at;
    while (at < line.length && BLANKS.indexOf(line[at]!) < 0) at++;
    words.push(line.subarray(from, at));
  }
  return words;
}
