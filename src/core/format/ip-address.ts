// IP addresses as text and as the keys that address rules have. Source: RFC 4291 section 2.2.

import { bytesOf } from '../bytes/bytes.ts';

const COLON = 58;
const DOT = 46;
const HEX = '0123456789abcdef';
const GROUPS = 8;

/**
 * The eight 16-bit groups of an address, or undefined if it is none. Every form of RFC 4291 is understood: `::` once for
 * one group of zeros or more, and a dotted quad in place of the last two groups. A zone (`%eth0`) is not part of it.
 */
export function parseIpv6(text: Uint8Array): Uint16Array | undefined {
  const groups = new Uint16Array(GROUPS);
  let count = 0;
  /** Where the `::` was, as a number of groups. */
  let gap = -1;
  let at = 0;
  if (text[0] === COLON) {
    if (text[1] !== COLON) return undefined;
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    if (count === GROUPS) return undefined;
    const end = endOfHex(text, at);
    if (text[end] === DOT) {
      const quad = count <= GROUPS - 2 ? parseIpv4(text.subarray(at)) : undefined;
      if (quad === undefined) return undefined;
      groups[count++] = quad[0]! * 256 + quad[1]!;
      groups[count++] = quad[2]! * 256 + quad[3]!;
      break;
    }
    if (end === at) return undefined;
    groups[count++] = hexValue(text, at, end);
    if (end === text.length) break;
    if (text[end] !== COLON || end + 1 === text.length) return undefined;
    at = end + 1;
    if (text[at] !== COLON) continue;
    if (gap >= 0) return undefined;
    gap = count;
    at++;
  }
  if (gap < 0) return count === GROUPS ? groups : undefined;
  if (count === GROUPS) return undefined;
  const moved = new Uint16Array(GROUPS);
  for (let i = 0; i < gap; i++) moved[i] = groups[i]!;
  for (let i = gap; i < count; i++) moved[GROUPS - count + i] = groups[i]!;
  return moved;
}

/** The four numbers of a dotted quad in plain decimal, each 0 to 255 without leading zeros; undefined if it is none. */
export function parseIpv4(text: Uint8Array): Uint8Array | undefined {
  const quad = new Uint8Array(4);
  let at = 0;
  for (let i = 0; i < 4; i++) {
    if (i > 0 && text[at++] !== DOT) return undefined;
    const from = at;
    let value = 0;
    while (at < text.length && text[at]! >= 48 && text[at]! <= 57 && at - from < 3)
      value = value * 10 + text[at++]! - 48;
    if (at === from || value > 255 || (at - from > 1 && text[from] === 48)) return undefined;
    quad[i] = value;
  }
  return at === text.length ? quad : undefined;
}

/** The 32 hexadecimal digits of an address, in lower case. */
export function ipv6Digits(groups: Uint16Array): Uint8Array {
  let digits = '';
  for (let i = 0; i < GROUPS; i++) {
    for (let shift = 12; shift >= 0; shift -= 4) digits += HEX.charAt((groups[i]! >> shift) & 15);
  }
  return bytesOf(digits);
}

/** Where at most four hexadecimal digits from there on end. */
function endOfHex(text: Uint8Array, from: number): number {
  let at = from;
  while (at < text.length && at - from < 4 && digitValue(text[at]!) >= 0) at++;
  return at;
}

function hexValue(text: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at++) value = value * 16 + digitValue(text[at]!);
  return value;
}

function digitValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
