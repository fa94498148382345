// Tokens of an address field, as RFC 822 names them, read the way qmail-inject reads them: comments may nest, a
// backslash takes the next byte literally nearly everywhere, any byte may occur. A token list is a few growing arrays
// and not an object per token, so that a hostile field of many megabytes takes linear time and little memory.
// Source: RFC 822 section 3.3; cr.yp.to/immhf.html.

import type { ByteBuffer } from '../bytes/byte-buffer.ts';

/**
 * Kinds of tokens. A one-byte token's kind is the byte itself: `.` `,` `@` `<` `>` `:` `;`. The others have content:
 * ATOM, QUOTED `"…"`, LITERAL `[…]`, COMMENT `(…)`.
 */
export const ATOM = 97;
export const QUOTED = 34;
export const LITERAL = 91;
export const COMMENT = 40;
export const DOT = 46;
export const COMMA = 44;
export const AT = 64;
export const LEFT = 60;
export const RIGHT = 62;
export const COLON = 58;
export const SEMICOLON = 59;

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COMMENT_END = 41;
const BACKSLASH = 92;
const LITERAL_END = 93;

/** A list of tokens that grows at its end. */
export class TokenList {
  #kinds = new Uint8Array(16);
  /** Where each token's content ends; it begins where that of the token before it ends. */
  #ends = new Int32Array(16);
  #bytes = new Uint8Array(64);
  #length = 0;
  #used = 0;

  /** Number of tokens. */
  get length(): number {
    return this.#length;
  }

  /** Kind of a token, 0 to length - 1; 0 (no kind) for any other index. */
  kind(index: number): number {
    return index >= 0 && index < this.#length ? this.#kinds[index]! : 0;
  }

  /** Where a token's content begins: {@link byteAt} gives its bytes, up to {@link endOf} exclusively. */
  startOf(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }

  /** Where a token's content ends; the same as {@link startOf} for a one-byte token. */
  endOf(index: number): number {
    return this.#ends[index]!;
  }

  /** A byte of the contents, which lie one after the other. */
  byteAt(position: number): number {
    return this.#bytes[position]!;
  }

  /** Forgets all tokens and keeps the memory. */
  clear(): void {
    this.#length = 0;
    this.#used = 0;
  }

  /** Begins a token with empty content; {@link appendByte} adds to it. */
  begin(kind: number): void {
    if (this.#length === this.#kinds.length) this.#growTokens();
    this.#kinds[this.#length] = kind;
    this.#ends[this.#length] = this.#used;
    this.#length++;
  }

  /** Adds a byte to the content of the last token. */
  appendByte(byte: number): void {
    if (this.#used === this.#bytes.length) this.#growBytes(1);
    this.#bytes[this.#used++] = byte;
    this.#ends[this.#length - 1] = this.#used;
  }

  /** Removes the last byte of the last token's content, which must not be empty. */
  dropLastByte(): void {
    this.#used--;
    this.#ends[this.#length - 1] = this.#used;
  }

  /** Makes the last token one of another kind with the same content. */
  becomeKind(kind: number): void {
    this.#kinds[this.#length - 1] = kind;
  }

  /** Adds a token with that content. */
  append(kind: number, content: Uint8Array): void {
    this.begin(kind);
    this.#growBytes(content.length);
    this.#bytes.set(content, this.#used);
    this.#used += content.length;
    this.#ends[this.#length - 1] = this.#used;
  }

  /** Adds a copy of a token of another list. */
  appendFrom(other: TokenList, index: number): void {
    this.begin(other.#kinds[index]!);
    const from = other.startOf(index);
    const to = other.#ends[index]!;
    if (to <= from) return;
    this.#growBytes(to - from);
    // A loop, because contents are short and a view costs more than their bytes.
    for (let at = from; at < to; at++) this.#bytes[this.#used++] = other.#bytes[at]!;
    this.#ends[this.#length - 1] = this.#used;
  }

  /** Adds copies of all tokens of another list, from index `from` to `to` exclusively. */
  appendAll(other: TokenList, from = 0, to = other.length): void {
    for (let i = from; i < to; i++) this.appendFrom(other, i);
  }

  /** Adds copies of all tokens of another list, the last one first. */
  appendReversed(other: TokenList): void {
    for (let i = other.length - 1; i >= 0; i--) this.appendFrom(other, i);
  }

  #growTokens(): void {
    const kinds = new Uint8Array(this.#kinds.length * 2);
    kinds.set(this.#kinds);
    this.#kinds = kinds;
    const ends = new Int32Array(this.#ends.length * 2);
    ends.set(this.#ends);
    this.#ends = ends;
  }

  #growBytes(more: number): void {
    const needed = this.#used + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

/**
 * Splits text into tokens, blanks between them dropped. Undefined if it cannot be: a comment, quoted string or literal
 * does not end, or `)` or `]` stands where a token should begin.
 * @param tokens the list to use, which is cleared first
 */
export function parseTokens(text: Uint8Array, tokens = new TokenList()): TokenList | undefined {
  tokens.clear();
  let at = 0;
  while (at < text.length) {
    const byte = text[at]!;
    if (isBlank(byte)) {
      at++;
    } else if (isOneByteToken(byte)) {
      tokens.begin(byte);
      at++;
    } else if (byte === COMMENT_END || byte === LITERAL_END) {
      return undefined;
    } else if (byte === COMMENT) {
      at = parseComment(text, at + 1, tokens);
    } else if (byte === QUOTED || byte === LITERAL) {
      at = parseEnclosed(text, at + 1, tokens, byte);
    } else {
      at = parseAtom(text, at, tokens);
    }
    if (at < 0) return undefined;
  }
  return tokens;
}

/** Index after the comment whose content begins at `at`, or -1 if it does not end. Inner parentheses are dropped. */
function parseComment(text: Uint8Array, at: number, tokens: TokenList): number {
  tokens.begin(COMMENT);
  let depth = 1;
  for (let i = at; i < text.length; i++) {
    const byte = text[i]!;
    if (byte === COMMENT) depth++;
    else if (byte === COMMENT_END) {
      depth--;
      if (depth === 0) return i + 1;
    } else if (byte !== BACKSLASH) tokens.appendByte(byte);
    else if (++i < text.length) tokens.appendByte(text[i]!);
  }
  return -1;
}

/** Index after the quoted string or literal whose content begins at `at`, or -1 if it does not end. */
function parseEnclosed(text: Uint8Array, at: number, tokens: TokenList, kind: number): number {
  tokens.begin(kind);
  const end = kind === QUOTED ? QUOTED : LITERAL_END;
  for (let i = at; i < text.length; i++) {
    const byte = text[i]!;
    if (byte === end) return i + 1;
    if (byte !== BACKSLASH) tokens.appendByte(byte);
    else if (++i < text.length) tokens.appendByte(text[i]!);
  }
  return -1;
}

/** Index after the atom at `at`. One that could not be written as an atom becomes a quoted string. */
function parseAtom(text: Uint8Array, at: number, tokens: TokenList): number {
  tokens.begin(ATOM);
  let mustBeQuoted = false;
  let i = at;
  for (; i < text.length; i++) {
    let byte = text[i]!;
    if (endsAtom(byte)) break;
    if (byte === BACKSLASH) {
      i++;
      if (i === text.length) break;
      byte = text[i]!;
    }
    if (byte < 32 || byte > 126 || byte === COMMENT_END || byte === LITERAL_END || byte === BACKSLASH) {
      mustBeQuoted = true;
    }
    tokens.appendByte(byte);
  }
  if (mustBeQuoted) tokens.becomeKind(QUOTED);
  return i;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === LF || byte === CR;
}

function isOneByteToken(byte: number): boolean {
  switch (byte) {
    case DOT:
    case COMMA:
    case AT:
    case LEFT:
    case RIGHT:
    case COLON:
    case SEMICOLON:
      return true;
    default:
      return false;
  }
}

function endsAtom(byte: number): boolean {
  return isBlank(byte) || isOneByteToken(byte) || byte === COMMENT || byte === LITERAL || byte === QUOTED;
}

/**
 * Appends the envelope form of an address: what the tokens stand for, without quoting and comments. It ends at the
 * first NUL, since an envelope cannot hold one; returns whether all of the address was appended.
 */
export function appendEnvelopeForm(target: ByteBuffer, address: TokenList): boolean {
  for (let i = 0; i < address.length; i++) {
    const kind = address.kind(i);
    if (kind === COMMENT) continue;
    const isWord = kind === ATOM || kind === QUOTED;
    if (!isWord) target.appendByte(kind);
    for (let at = address.startOf(i); at < address.endOf(i); at++) {
      const byte = address.byteAt(at);
      if (byte === 0) return false;
      target.appendByte(byte);
    }
    if (kind === LITERAL) target.appendByte(LITERAL_END);
  }
  return true;
}
