// The entries of control/qmqpservers: which QMQP servers a client tries, in which order.
// Differs: beside qmail's entries, whose port is always 628 and whose address is an IPv4 address with anything behind
// it, `qmqp://ADDRESS:PORT` is understood, with an IPv4 or a bracketed IPv6 address. qmail skips such an entry.
// Source: the qmail-qmqpc manual page; observed behaviour of netqmail's qmail-qmqpc for odd entries.

import { bytesOf, findByte, startsWith, textOf } from '../bytes/bytes.ts';

/** Where a server listens; `host` is an address in text form, without brackets. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** The port of the Quick Mail Queueing Protocol. */
export const QMQP_PORT = 628;

const PORT_MAX = 65535;
const OCTET_MAX = 255;
const DOT = 46;
const COLON = 58;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const SCHEME = bytesOf('qmqp://');

/** The usable servers of a list in order; entries in no known form are left out. */
export function parseServerEntries(entries: readonly Uint8Array[]): ServerAddress[] {
  const servers: ServerAddress[] = [];
  for (const entry of entries) {
    const server = parseServerEntry(entry);
    if (server !== undefined) servers.push(server);
  }
  return servers;
}

/** The entries of a list in one line, separated by blanks, line ends or commas. */
export function splitServerList(list: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= list.length; at++) {
    const byte = list[at];
    if (byte !== undefined && byte !== 32 && byte !== 9 && byte !== 10 && byte !== 44) continue;
    if (at > from) entries.push(list.subarray(from, at));
    from = at + 1;
  }
  return entries;
}

function parseServerEntry(entry: Uint8Array): ServerAddress | undefined {
  if (startsWith(entry, SCHEME)) return parseServerUrl(entry.subarray(SCHEME.length));
  const address = readIpv4(entry);
  // An octet over 255 wraps around: the original keeps eight bits of it.
  return address && { host: address.octets.map((octet) => octet % 256).join('.'), port: QMQP_PORT };
}

function parseServerUrl(rest: Uint8Array): ServerAddress | undefined {
  if (rest[0] === OPEN_BRACKET) {
    const close = findByte(rest, CLOSE_BRACKET);
    if (close < 0) return undefined;
    const host = textOf(rest.subarray(1, close));
    return isIpv6(host) ? withPort(host, rest.subarray(close + 1)) : undefined;
  }
  const address = readIpv4(rest);
  if (address === undefined) return undefined;
  for (const octet of address.octets) if (octet > OCTET_MAX) return undefined;
  return withPort(address.octets.join('.'), rest.subarray(address.length));
}

/** @param suffix what follows the address: nothing, or a colon and a port */
function withPort(host: string, suffix: Uint8Array): ServerAddress | undefined {
  if (suffix.length === 0) return { host, port: QMQP_PORT };
  const port = readNumber(suffix, 1);
  if (suffix[0] !== COLON || port === undefined || port.end !== suffix.length) return undefined;
  if (port.value < 1 || port.value > PORT_MAX) return undefined;
  return { host, port: port.value };
}

/** Four groups of digits with dots between them at the start of `bytes`, and how long that is. */
function readIpv4(bytes: Uint8Array): { octets: number[]; length: number } | undefined {
  const octets: number[] = [];
  let at = 0;
  for (;;) {
    const group = readNumber(bytes, at);
    if (group === undefined) return undefined;
    octets.push(group.value);
    if (octets.length === 4) return { octets, length: group.end };
    if (bytes[group.end] !== DOT) return undefined;
    at = group.end + 1;
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

/** Whether the text is an IPv6 address of hexadecimal groups, at most one `::` among them. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groupCount = 0;
  for (const half of halves) {
    if (half === '' && halves.length === 2) continue;
    for (const group of half.split(':')) {
      if (!isHexGroup(group)) return false;
      groupCount++;
    }
  }
  return halves.length === 2 ? groupCount < 8 : groupCount === 8;
}

function isHexGroup(group: string): boolean {
  if (group.length < 1 || group.length > 4) return false;
  for (let i = 0; i < group.length; i++) {
    if ('0123456789abcdefABCDEF'.indexOf(group.charAt(i)) < 0) return false;
  }
  return true;
}
