// Prints a token list as header text: minimal spaces, specials inside words escaped, lines folded after commas. The
// field's own spacing and folding is lost; its meaning is not.
// Source: cr.yp.to/immhf.html; the qmail-header manual page.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { ATOM, COLON, COMMA, COMMENT, LEFT, LITERAL, QUOTED, type TokenList } from './tokens.ts';

const LINE_MAX = 78;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COMMENT_END = 41;
const BACKSLASH = 92;
const LITERAL_END = 93;

/**
 * The tokens as one header field with its final LF. After a comma a new line is begun, with two spaces, if what
 * follows up to the next comma would make the line longer than 78 bytes.
 */
export function printTokens(tokens: TokenList): Uint8Array {
  const text = new ByteBuffer(256);
  const piece = new ByteBuffer(128);
  let lineStart = 0;
  let isFirstPiece = true;
  let last = 0;
  for (let i = 0; i <= tokens.length; i++) {
    const kind = tokens.kind(i);
    if (i < tokens.length) {
      if (needsSpace(last, kind)) piece.appendByte(SPACE);
      appendToken(piece, kind, tokens, i);
      last = kind;
      if (kind !== COMMA) continue;
    }
    if (!isFirstPiece && text.length - lineStart + piece.length > LINE_MAX) {
      text.appendByte(LF);
      lineStart = text.length;
      text.appendByte(SPACE);
    }
    text.append(piece.view());
    piece.clear();
    isFirstPiece = false;
  }
  text.appendByte(LF);
  return text.toBytes();
}

function needsSpace(left: number, right: number): boolean {
  if (left === 0) return false;
  return left === COLON || left === COMMA || right === LEFT || (isWord(left) && isWord(right));
}

function isWord(kind: number): boolean {
  return kind === ATOM || kind === QUOTED || kind === LITERAL || kind === COMMENT;
}

function appendToken(target: ByteBuffer, kind: number, tokens: TokenList, index: number): void {
  if (kind !== ATOM) target.appendByte(kind);
  if (!isWord(kind)) return;
  const content = tokens.content(index);
  for (let i = 0; i < content.length; i++) {
    const byte = content[i]!;
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
