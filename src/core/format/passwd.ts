// Lines of a list of accounts, as in /etc/passwd and in what getent prints: NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL.
// Source: passwd(5).

import { findByte } from '../bytes/bytes.ts';

const COLON = 58;

/** An account; uid and gid as numbers and as they are written. */
export interface Account {
  readonly name: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  readonly uidText: Uint8Array;
  readonly gidText: Uint8Array;
  readonly home: Uint8Array;
}

/** The account of a line, views of it; undefined if the line has fewer than six colons or a NUL. */
export function parseAccount(line: Uint8Array): Account | undefined {
  if (findByte(line, 0) >= 0) return undefined;
  const fields: Uint8Array[] = [];
  for (let from = 0; fields.length < 6; ) {
    const end = findByte(line, COLON, from);
    if (end < 0) return undefined;
    fields.push(line.subarray(from, end));
    from = end + 1;
  }
  const [name, , uidText, gidText, , home] = fields;
  return {
    name: name!,
    uid: parseDecimal(uidText!),
    gid: parseDecimal(gidText!),
    uidText: uidText!,
    gidText: gidText!,
    home: home!,
  };
}

/** The decimal digits that a text begins with, modulo 2^32; 0 without any. */
export function parseDecimal(text: Uint8Array): number {
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = (value * 10 + digit) % 4294967296;
  }
  return value;
}
