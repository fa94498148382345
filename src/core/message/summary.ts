// Pieces of a message for showing them to people on a terminal: contents of fields, and bytes that do nothing there.
// Source: the qbiff and maildirwatch manual pages.

import { findByte } from '../bytes/bytes.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const LAST_PRINTABLE = 126;
const COLON = 58;

/** What stands after a field's name, its colon and all blanks and line ends there; a view, empty if there is nothing. */
export function fieldContent(field: Uint8Array): Uint8Array {
  let at = findByte(field, COLON) + 1;
  while (at < field.length && isBlank(field[at]!)) at++;
  return field.subarray(at);
}

/** A copy with all bytes outside 32 to 126 replaced by a character. */
export function printable(bytes: Uint8Array, replacement: string): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    copy[i] = byte >= SPACE && byte <= LAST_PRINTABLE ? byte : replacement.charCodeAt(0);
  }
  return copy;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === LF || byte === CR;
}
