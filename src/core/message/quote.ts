// Quoting of an address that is known as plain bytes (an envelope address, a word of the command line), so that it can
// stand in a header field. The envelope form of the result is the address again.
// Source: RFC 822 section 3.3 (quoted-string); the qmail-inject manual page.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { findLastByte } from '../bytes/bytes.ts';

const LF = 10;
const CR = 13;
const QUOTE = 34;
const DOT = 46;
const AT = 64;
const BACKSLASH = 92;
// What a local part may hold without quotes, beside letters and digits.
const PLAIN_SPECIALS = "!#$%&'*+-./=?^_`{|}~";

/**
 * The address with its local part, everything before the last `@`, quoted if that is needed; the empty address stays
 * empty. `joe user@x.y` gives `"joe user"@x.y`.
 */
export function quoteAddress(address: Uint8Array): Uint8Array {
  if (address.length === 0) return address;
  const at = findLastByte(address, AT);
  const local = at < 0 ? address : address.subarray(0, at);
  if (!needsQuoting(local)) return address;
  const quoted = new ByteBuffer(address.length + 16);
  quoted.appendByte(QUOTE);
  for (let i = 0; i < local.length; i++) {
    const byte = local[i]!;
    if (byte === CR || byte === LF || byte === QUOTE || byte === BACKSLASH) quoted.appendByte(BACKSLASH);
    quoted.appendByte(byte);
  }
  quoted.appendByte(QUOTE);
  if (at >= 0) quoted.append(address.subarray(at));
  return quoted.toBytes();
}

/**
 * Whether a local part must be written as a quoted string: it is empty, begins or ends with a dot, has two dots in a
 * row, or holds a byte that may not stand in an atom.
 */
export function needsQuoting(local: Uint8Array): boolean {
  const last = local.length - 1;
  if (last < 0 || local[0] === DOT || local[last] === DOT) return true;
  for (let i = 0; i <= last; i++) {
    const byte = local[i]!;
    if (byte === DOT && local[i + 1] === DOT) return true;
    if (!isPlain(byte)) return true;
  }
  return false;
}

function isPlain(byte: number): boolean {
  if (byte >= 97 && byte <= 122) return true;
  if (byte >= 65 && byte <= 90) return true;
  if (byte >= 48 && byte <= 57) return true;
  return byte < 128 && PLAIN_SPECIALS.indexOf(String.fromCharCode(byte)) >= 0;
}
