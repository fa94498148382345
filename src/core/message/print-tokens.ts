// Prints a token list as header text: minimal spaces, specials inside words escaped, lines folded after commas. The
// field's own spacing and folding is lost; its meaning is not.
// Source: cr.yp.to/immhf.html; the qmail-header manual page.

import type { ByteBuffer } from '../bytes/byte-buffer.ts';
import { ATOM, COLON, COMMA, COMMENT, LEFT, LITERAL, QUOTED, type TokenList } from './tokens.ts';

const LINE_MAX = 78;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COMMENT_END = 41;
const BACKSLASH = 92;
const LITERAL_END = 93;

/**
 * Appends the tokens as one header field with its final LF. After a comma a new line is begun, with two spaces, if what
 * follows up to the next comma would make the line longer than 78 bytes.
 * @param isReversed whether the list holds the last token first
 */
export function printTokens(target: ByteBuffer, tokens: TokenList, isReversed = false): void {
  const count = tokens.length;
  const step = isReversed ? -1 : 1;
  let at = isReversed ? count - 1 : 0;
  let lineStart = target.length;
  let last = 0;
  for (let printed = 0, isFirst = true; printed < count || last === COMMA; isFirst = false) {
    const length = pieceLength(tokens, at, step, last);
    if (!isFirst && target.length - lineStart + length > LINE_MAX) {
      target.appendByte(LF);
      lineStart = target.length;
      target.appendByte(SPACE);
    }
    if (printed === count) break;
    do {
      const kind = tokens.kind(at);
      if (needsSpace(last, kind)) target.appendByte(SPACE);
      appendToken(target, tokens, at);
      last = kind;
      at += step;
      printed++;
    } while (last !== COMMA && printed < count);
  }
  target.appendByte(LF);
}

/** Bytes that the tokens from `at` to the next comma, inclusive, will take. */
function pieceLength(tokens: TokenList, at: number, step: number, before: number): number {
  let length = 0;
  let last = before;
  for (let i = at; i >= 0 && i < tokens.length && (last !== COMMA || i === at); i += step) {
    const kind = tokens.kind(i);
    if (needsSpace(last, kind)) length++;
    length += tokenLength(tokens, i);
    last = kind;
  }
  return length;
}

function tokenLength(tokens: TokenList, index: number): number {
  const kind = tokens.kind(index);
  if (!isWord(kind)) return 1;
  const end = tokens.endOf(index);
  let length = (kind === ATOM ? 0 : 2) + end - tokens.startOf(index);
  for (let at = tokens.startOf(index); at < end; at++) if (needsBackslash(tokens.byteAt(at))) length++;
  return length;
}

function needsSpace(left: number, right: number): boolean {
  if (left === 0) return false;
  return left === COLON || left === COMMA || right === LEFT || (isWord(left) && isWord(right));
}

function isWord(kind: number): boolean {
  return kind === ATOM || kind === QUOTED || kind === LITERAL || kind === COMMENT;
}

function appendToken(target: ByteBuffer, tokens: TokenList, index: number): void {
  const kind = tokens.kind(index);
  if (kind !== ATOM) target.appendByte(kind);
  const end = tokens.endOf(index);
  for (let at = tokens.startOf(index); at < end; at++) {
    const byte = tokens.byteAt(at);
    if (needsBackslash(byte)) target.appendByte(BACKSLASH);
    target.appendByte(byte);
  }
  if (kind === QUOTED) target.appendByte(QUOTED);
  else if (kind === LITERAL) target.appendByte(LITERAL_END);
  else if (kind === COMMENT) target.appendByte(COMMENT_END);
}

function needsBackslash(byte: number): boolean {
  switch (byte) {
    case QUOTED:
    case LITERAL:
    case LITERAL_END:
    case COMMENT:
    case COMMENT_END:
    case BACKSLASH:
    case CR:
    case LF:
      return true;
    default:
      return false;
  }
}
