// Domain names: as text with dots, as labels on the wire, and as the names under which addresses are listed. Text is what
// djb's resolver prints: lower case, every byte of a label but a to z, 0 to 9, - and _ as a backslash and three octal
// digits, no dot at the end; the root is a dot. Source: RFC 1035 sections 3.1 and 4.1.4, RFC 3596 section 2.5.
// Invariant: reading a name costs at most 255 steps, whatever the message says.

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { bytesOf, concatBytes, lowerByte } from '../../bytes/bytes.ts';
import { ipv6Digits, parseIpv4, parseIpv6 } from '../../format/ip-address.ts';

const DOT = 46;
const BACKSLASH = 92;
const LABEL_MAX = 63;
const NAME_MAX = 255;
const POINTER = 192;

/** The wire form of a name in text; undefined if a label is longer than 63 bytes or empty, or the whole longer than 255. */
export function encodeDnsName(text: Uint8Array): Uint8Array | undefined {
  const wire = new ByteBuffer(text.length + 2);
  let label = new ByteBuffer(LABEL_MAX + 1);
  for (let at = 0; at <= text.length; at++) {
    const byte = text[at];
    if (byte === undefined || byte === DOT) {
      if (label.length === 0) {
        if (at < text.length && text.length > 1) return undefined;
        continue;
      }
      if (label.length > LABEL_MAX) return undefined;
      wire.appendByte(label.length);
      wire.append(label.view());
      label = new ByteBuffer(LABEL_MAX + 1);
    } else if (byte === BACKSLASH && octal(text, at + 1) >= 0) {
      label.appendByte(octal(text, at + 1));
      at += 3;
    } else label.appendByte(byte);
  }
  wire.appendByte(0);
  return wire.length > NAME_MAX ? undefined : wire.toBytes();
}

/** The value of three octal digits, or -1. */
function octal(text: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 3; i++) {
    const digit = (text[i] ?? 0) - 48;
    if (digit < 0 || digit > 7) return -1;
    value = value * 8 + digit;
  }
  return value <= 255 ? value : -1;
}

/** A name in a message, in text, and where the message goes on behind it. */
export interface ReadDnsName {
  readonly text: Uint8Array;
  readonly end: number;
}

/** Reads the name at an offset, following pointers backwards only; undefined if there is no well-formed name. */
export function readDnsName(message: Uint8Array, offset: number): ReadDnsName | undefined {
  const text = new ByteBuffer(64);
  let at = offset;
  let end = -1;
  /** Pointers must lead to before this, so they cannot go in circles. */
  let before = offset;
  for (let length = 1; length <= NAME_MAX; ) {
    const size = message[at];
    if (size === undefined) return undefined;
    if (size >= POINTER) {
      const low = message[at + 1];
      if (low === undefined) return undefined;
      if (end < 0) end = at + 2;
      at = (size - POINTER) * 256 + low;
      if (at >= before) return undefined;
      before = at;
      length++;
      continue;
    }
    if (size > LABEL_MAX || at + 1 + size > message.length) return undefined;
    if (size === 0) {
      if (text.length === 0) text.appendByte(DOT);
      return { text: text.toBytes(), end: end < 0 ? at + 1 : end };
    }
    if (text.length > 0) text.appendByte(DOT);
    for (let i = at + 1; i <= at + size; i++) appendSafely(text, message[i]!);
    at += size + 1;
    length += size + 1;
  }
  return undefined;
}

function appendSafely(text: ByteBuffer, given: number): void {
  const byte = lowerByte(given);
  const isPlain = (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57) || byte === 45 || byte === 95;
  if (isPlain) text.appendByte(byte);
  else text.appendText(`\\${byte >> 6}${(byte >> 3) & 7}${byte & 7}`);
}

/**
 * The name under which an address is listed: its parts backwards, four numbers or 32 digits, and the zone behind; undefined
 * if it is no address.
 * @param zones where IPv4 and IPv6 addresses are listed, such as `in-addr.arpa` and `ip6.arpa`
 */
export function reverseDnsName(
  ip: Uint8Array,
  zones: { readonly ipv4: Uint8Array; readonly ipv6: Uint8Array },
): Uint8Array | undefined {
  const quad = parseIpv4(ip);
  if (quad !== undefined) {
    return concatBytes([bytesOf(`${quad[3]}.${quad[2]}.${quad[1]}.${quad[0]}.`), zones.ipv4]);
  }
  const groups = parseIpv6(ip);
  if (groups === undefined) return undefined;
  const digits = ipv6Digits(groups);
  const name = new ByteBuffer(80);
  for (let i = digits.length - 1; i >= 0; i--) {
    name.appendByte(digits[i]!);
    name.appendByte(DOT);
  }
  name.append(zones.ipv6);
  return name.toBytes();
}
