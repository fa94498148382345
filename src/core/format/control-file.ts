// The three formats of control files: single line, number, list. Bytes in, values out; who opens the file and what a
// missing one means is the caller's business. Source: the qmail-control manual page.

import { findByte } from '../bytes/bytes.ts';

const LF = 10;
const HASH = 35;

/**
 * The value of a single-line control file: its first line without trailing spaces and tabs.
 * Leading blanks, CR and `#` belong to the value; an empty file gives the empty value.
 */
export function parseControlLine(content: Uint8Array): Uint8Array {
  const end = findByte(content, LF);
  return trimRight(end < 0 ? content : content.subarray(0, end));
}

/**
 * The value of a number control file: the decimal digits that its first line begins with, modulo 2^32, or undefined
 * if it does not begin with a digit (then the default holds).
 */
export function parseControlNumber(content: Uint8Array): number | undefined {
  const line = parseControlLine(content);
  let value = 0;
  let at = 0;
  for (; at < line.length; at++) {
    const digit = line[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = (value * 10 + digit) % 4294967296;
  }
  return at === 0 ? undefined : value;
}

/**
 * The entries of a list control file in order: lines without trailing spaces and tabs; empty lines and lines whose
 * first byte is `#` are left out. A NUL inside a line splits it into two entries; a line that begins with NUL is left out.
 */
export function parseControlList(content: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let from = 0;
  while (from < content.length) {
    const lf = findByte(content, LF, from);
    const end = lf < 0 ? content.length : lf;
    const line = trimRight(content.subarray(from, end));
    if (line.length > 0 && line[0] !== HASH && line[0] !== 0) appendPieces(entries, line);
    from = end + 1;
  }
  return entries;
}

function appendPieces(entries: Uint8Array[], line: Uint8Array): void {
  let from = 0;
  while (from <= line.length) {
    const nul = findByte(line, 0, from);
    const end = nul < 0 ? line.length : nul;
    if (end > from) entries.push(line.subarray(from, end));
    from = end + 1;
  }
}

/** A line without the spaces and tabs at its end. */
export function trimRight(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && (line[end - 1] === 32 || line[end - 1] === 9)) end--;
  return line.subarray(0, end);
}
