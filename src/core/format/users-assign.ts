// Who gets the mail of which local address: the text that an administrator writes (users/assign), the records that it becomes
// (users/cdb), and how an address is looked up in them. Case does not matter for the look-up; what is left of an address keeps its.
// Source: the qmail-users, qmail-newu and qmail-lspawn manual pages.

import { bytesOf, concatBytes, copyBytes, findByte, lowerCase } from '../bytes/bytes.ts';
import { parseDecimal } from './passwd.ts';

const LF = 10;
const PLUS = 43;
const DOT = 46;
const COLON = 58;
const MARK = bytesOf('!');
const NUL = bytesOf('\0');
const FIELDS = 6;

/** Bytes of the longest prefix that is looked up, those of the longest address that qmail-queue takes: more would cost too much time. */
const PREFIX_MAX = 1002;

/** Key of the record whose data are the bytes that prefixes of addresses end in. */
export const WILD_CHARACTERS_KEY = new Uint8Array(0);

/**
 * Turns the text into records, in order, the one of the empty key last. Lines are read up to the first that begins with a dot.
 * @returns whether the text has the right form; if not, what was handed on must not be used
 */
export function compileAssignments(
  text: Uint8Array,
  add: (key: Uint8Array, data: Uint8Array) => void,
): boolean {
  const wild: number[] = [];
  const isWild: boolean[] = [];
  for (let from = 0; ; ) {
    if (text[from] === DOT) break;
    const end = findByte(text, LF, from);
    if (end < 0) return false;
    const line = text.subarray(from, end);
    const colon = findByte(line, COLON);
    const data = colon < 1 || findByte(line, 0) >= 0 ? undefined : cutData(line.subarray(colon + 1));
    if (data === undefined) return false;
    const name = lowerCase(line.subarray(1, colon));
    const isPrefix = line[0] === PLUS;
    add(concatBytes(isPrefix ? [MARK, name] : [MARK, name, NUL]), data);
    const last = line[colon - 1]!;
    if (isPrefix && colon > 1 && isWild[last] !== true) {
      isWild[last] = true;
      wild.push(last);
    }
    from = end + 1;
  }
  add(WILD_CHARACTERS_KEY, new Uint8Array(wild));
  return true;
}

/** The first six fields with NULs between them; undefined if there are fewer. Each field ends in a colon. */
function cutData(fields: Uint8Array): Uint8Array | undefined {
  const data = copyBytes(fields);
  let count = 0;
  for (let at = 0; at < data.length; at++) {
    if (data[at] !== COLON) continue;
    if (++count === FIELDS) return data.subarray(0, at);
    data[at] = 0;
  }
  return undefined;
}

/** The user who gets the mail of an address, and how the files that say what to do with it are found. */
export interface Assignment {
  readonly user: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  /** The home directory. */
  readonly home: Uint8Array;
  /** What stands between `.qmail` and the extension in names of files. */
  readonly dash: Uint8Array;
  readonly ext: Uint8Array;
}

/** What a look-up found: the record's data with the rest of the address, and how long the prefix is that matched. */
export interface FoundAssignment {
  readonly data: Uint8Array;
  /** Bytes of the prefix of a wildcard; undefined for an exact assignment. */
  readonly prefixLength: number | undefined;
}

/**
 * Looks up the local part of an address: as a whole, then by its prefixes, the longest first.
 * @param find the data of the first record with that key
 * @returns undefined if nobody has it, `damaged` if the records are not those of a whole file
 */
export function findAssignment(
  local: Uint8Array,
  find: (key: Uint8Array) => Uint8Array | undefined,
): FoundAssignment | undefined | 'damaged' {
  const wild = find(WILD_CHARACTERS_KEY);
  if (wild === undefined) return 'damaged';
  const key = concatBytes([MARK, lowerCase(local), NUL]);
  const exact = find(key);
  if (exact !== undefined) return { data: exact, prefixLength: undefined };
  for (let length = Math.min(local.length, PREFIX_MAX); length >= 0; length--) {
    if (length > 0 && findByte(wild, key[length]!) < 0) continue;
    const data = find(key.subarray(0, length + 1));
    if (data !== undefined)
      return { data: concatBytes([data, local.subarray(length)]), prefixLength: length };
  }
  return undefined;
}

/** Reads a record's data, which may end in a NUL; undefined if a field is missing. Numbers are the digits that they begin with. */
export function parseAssignment(data: Uint8Array): Assignment | undefined {
  const fields: Uint8Array[] = [];
  let from = 0;
  for (let count = 1; count < FIELDS; count++) {
    const end = findByte(data, 0, from);
    if (end < 0) return undefined;
    fields.push(data.subarray(from, end));
    from = end + 1;
  }
  const end = findByte(data, 0, from);
  const ext = data.subarray(from, end < 0 ? data.length : end);
  const [user, uid, gid, home, dash] = fields as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  return { user, uid: parseDecimal(uid), gid: parseDecimal(gid), home, dash, ext };
}
