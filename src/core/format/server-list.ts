// The servers of control/qmqpservers and of $QMQPSERVERS: which QMQP servers a client tries, in which order, and how.
// In the file an entry that begins with four groups of digits is qmail's: port 628, and what follows is ignored, unless it
// consists of options. Differs: `qmqp://HOST:PORT`, `qmqps://HOST:PORT` and `unix:/PATH` are understood; qmail skips them.
// Invariant: an entry that cannot be followed to the letter is skipped with its reason, and never used with less protection.
// Source: the qmail-qmqpc manual page; observed behaviour of netqmail's qmail-qmqpc for odd entries.

import { bytesOf, startsWith, textOf } from '../bytes/bytes.ts';
import {
  asksForProtection,
  formatOptions,
  isKnownOption,
  isOptionWord,
  readServerOptions,
  type ServerOptions,
} from './server-list-options.ts';
import {
  formatPlace,
  parsePlace,
  parseSocketPath,
  QMQP_PORT,
  type ServerPlace,
} from './server-list-place.ts';

/** A server, and how to talk to it. */
export interface ServerAddress extends ServerPlace, ServerOptions {}

/** What an entry of a list means. */
export type ServerEntry =
  | {
      readonly server: ServerAddress;
      /** There are words behind the address that mean nothing, as in qmail. */
      readonly hasComment?: true;
    }
  | {
      /** Why there is no server. */
      readonly skipped: string;
    };

/** An entry of $QMQPSERVERS: its words as they stand there, with one blank between them, and what they mean. */
export interface WrittenEntry {
  readonly text: Uint8Array;
  readonly entry: ServerEntry;
}

const DOT = 46;
const COMMA = 44;
const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const PLAIN = bytesOf('qmqp://');
const SECURE = bytesOf('qmqps://');
const SOCKET = bytesOf('unix:');
const NO_SERVER = 'it is no address of a server';

/** The server as an entry that means it. */
export function formatServer(server: ServerAddress): string {
  return [formatPlace(server), ...formatOptions(server)].join(' ');
}

/** The usable servers of control/qmqpservers in order; all other entries are left out. */
export function parseServerEntries(entries: readonly Uint8Array[]): ServerAddress[] {
  const servers: ServerAddress[] = [];
  for (const entry of entries) {
    const read = readServerEntry(entry);
    if ('server' in read) servers.push(read.server);
  }
  return servers;
}

/** What one entry of control/qmqpservers means. */
export function readServerEntry(entry: Uint8Array): ServerEntry {
  // A file with CR LF; behind an original entry the CR is ignored anyway.
  const end = entry[entry.length - 1] === CR ? entry.length - 1 : entry.length;
  const written = entry.subarray(0, end);
  const address = readOriginal(written);
  if (address !== undefined) return readBehindAddress(address.host, written.subarray(address.length));
  if (written[0] === SPACE || written[0] === TAB) return { skipped: 'it begins with a blank' };
  const words = splitWords(written, false);
  const place = words[0] === undefined ? undefined : readUrl(words[0]);
  return place === undefined ? { skipped: NO_SERVER } : withOptions(place, words, 1);
}

/** The usable servers of $QMQPSERVERS in order. */
export function parseServerVariable(list: Uint8Array): ServerAddress[] {
  const servers: ServerAddress[] = [];
  for (const { entry } of readServerVariable(list)) if ('server' in entry) servers.push(entry.server);
  return servers;
}

/**
 * The entries of $QMQPSERVERS, which stand between blanks, line ends or commas, each with its options behind it. The first word
 * is a server whatever it is; a later one that is the name of an option, or has `=` in it, belongs to the entry before it.
 */
export function readServerVariable(list: Uint8Array): WrittenEntry[] {
  const found: WrittenEntry[] = [];
  let words: Uint8Array[] = [];
  for (const word of splitWords(list, true)) {
    if (words.length > 0 && !isOptionWord(word)) {
      found.push(writtenEntry(words));
      words = [];
    }
    words.push(word);
  }
  if (words.length > 0) found.push(writtenEntry(words));
  return found;
}

function writtenEntry(words: readonly Uint8Array[]): WrittenEntry {
  const first = words[0]!;
  const bare = parsePlace(textOf(first));
  const place = readUrl(first) ?? (bare && { place: bare, hasTls: false });
  const entry = place === undefined ? { skipped: NO_SERVER } : withOptions(place, words, 1);
  return { text: bytesOf(words.map(textOf).join(' ')), entry };
}

interface WrittenPlace {
  readonly place: ServerPlace;
  readonly hasTls: boolean;
}

function readUrl(word: Uint8Array): WrittenPlace | undefined {
  const isSecure = startsWith(word, SECURE);
  if (startsWith(word, SOCKET)) return written(parseSocketPath(textOf(word.subarray(SOCKET.length))), false);
  if (!isSecure && !startsWith(word, PLAIN)) return undefined;
  return written(parsePlace(textOf(word.subarray((isSecure ? SECURE : PLAIN).length))), isSecure);
}

function written(place: ServerPlace | undefined, hasTls: boolean): WrittenPlace | undefined {
  return place && { place, hasTls };
}

/** @param from index of the first word that is an option */
function withOptions(
  { place, hasTls }: WrittenPlace,
  words: readonly Uint8Array[],
  from: number,
): ServerEntry {
  const options = readServerOptions(words, { from, hasTls });
  if (typeof options === 'string') return { skipped: options };
  const { tls } = options;
  if (tls !== undefined && place.path !== undefined)
    return { skipped: 'a socket file of this host has no TLS' };
  if ((tls?.cert === undefined) !== (tls?.key === undefined))
    return { skipped: 'cert and key are of use only together' };
  return { server: mergeOptions(place, options) };
}

function mergeOptions({ host, port, path }: ServerPlace, { tls, gzip, hub }: ServerOptions): ServerAddress {
  const server: { -readonly [key in keyof ServerAddress]: ServerAddress[key] } = { host, port };
  if (path !== undefined) server.path = path;
  if (tls !== undefined) server.tls = tls;
  if (gzip !== undefined) server.gzip = gzip;
  if (hub !== undefined) server.hub = hub;
  return server;
}

/** @param rest what stands behind an address in qmail's form */
function readBehindAddress(host: string, rest: Uint8Array): ServerEntry {
  const place = { host, port: QMQP_PORT };
  const words = splitWords(rest, false);
  if (words.length === 0) return { server: place };
  let areOptions = rest[0] === SPACE || rest[0] === TAB;
  let isProtected = false;
  for (const word of words) {
    if (!isKnownOption(word)) areOptions = false;
    if (asksForProtection(word)) isProtected = true;
  }
  if (areOptions) return withOptions({ place, hasTls: false }, words, 0);
  // Who writes `tls` must not get clear text because another word is misspelt.
  if (isProtected) return { skipped: 'TLS is asked for, but other words there are no options' };
  return { server: place, hasComment: true };
}

/** The pieces between blanks, line ends and, if so, commas. */
function splitWords(bytes: Uint8Array, atCommas: boolean): Uint8Array[] {
  const words: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at];
    const isBlank = byte === SPACE || byte === TAB || byte === LF || byte === CR;
    if (byte !== undefined && !isBlank && !(atCommas && byte === COMMA)) continue;
    if (at > from) words.push(bytes.subarray(from, at));
    from = at + 1;
  }
  return words;
}

/** Four groups of digits with dots between them at the start of `bytes`, and how long that is. */
function readOriginal(bytes: Uint8Array): { host: string; length: number } | undefined {
  let host = '';
  let at = 0;
  for (let group = 1; ; group++) {
    const number = readNumber(bytes, at);
    if (number === undefined) return undefined;
    // An octet over 255 wraps around: the original keeps eight bits of it.
    host += `${group === 1 ? '' : '.'}${number.value % 256}`;
    if (group === 4) return { host, length: number.end };
    if (bytes[number.end] !== DOT) return undefined;
    at = number.end + 1;
  }
}

/** The decimal number at `from`, kept below 2^24 in a way that leaves it the same modulo 256, and where it ends. */
function readNumber(bytes: Uint8Array, from: number): { value: number; end: number } | undefined {
  let value = 0;
  let at = from;
  for (; at < bytes.length; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    if (value >= 0x1000000) value = 0x10000 + (value % 0x10000);
  }
  return at === from ? undefined : { value, end: at };
}
