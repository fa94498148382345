// The relaxed canonical form of a message (RFC 6376 sections 3.4.2 and 3.4.4), which signatures are made over: of the text as
// it goes over the wire, see protocol/smtp/wire-text.ts, in pieces of any size. Linear time, whatever the message.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { concatBytes, findByte, lowerByte } from '../bytes/bytes.ts';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;

/** A header field. */
export interface CanonicalField {
  /** In lower case. */
  readonly name: string;
  /** In relaxed form, without a line end. */
  readonly bytes: Uint8Array;
}

/** Canonical form of a body as it comes. */
export class RelaxedBody {
  #hasBlank = false;
  #isLineOpen = false;
  /** Empty lines that count only if something comes behind them. */
  #emptyLines = 0;

  /** The canonical bytes that are sure after this piece of wire text; new memory. */
  receive(piece: Uint8Array): Uint8Array {
    const canonical = new Uint8Array(2 * this.#emptyLines + piece.length + 2);
    let length = 0;
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!;
      if (byte === CR) continue;
      if (byte === SPACE || byte === TAB) {
        this.#hasBlank = true;
        continue;
      }
      if (byte === LF) {
        this.#hasBlank = false;
        if (this.#isLineOpen) {
          canonical[length++] = CR;
          canonical[length++] = LF;
        } else this.#emptyLines++;
        this.#isLineOpen = false;
        continue;
      }
      for (; this.#emptyLines > 0; this.#emptyLines--) {
        canonical[length++] = CR;
        canonical[length++] = LF;
      }
      if (this.#hasBlank) canonical[length++] = SPACE;
      this.#hasBlank = false;
      canonical[length++] = byte;
      this.#isLineOpen = true;
    }
    return canonical.subarray(0, length);
  }

  /** The last canonical bytes: a last line without an end is given one. */
  receiveEnd(): Uint8Array {
    return this.#isLineOpen ? new Uint8Array([CR, LF]) : new Uint8Array(0);
  }
}

/** Divides wire text into header and body as it comes. */
export class HeaderDivider {
  readonly #header = new ByteBuffer(1024);
  /** Where the line that comes begins in the header. */
  #lineStart = 0;
  #isLineEmpty = true;
  #isOver = false;

  /** Whether the header has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What was taken of the header so far; without the empty line that ends it. */
  get header(): Uint8Array {
    const header = this.#header.view();
    return this.#isOver ? header.subarray(0, this.#lineStart) : header;
  }

  /** What of this piece belongs to the body; a view. */
  receive(piece: Uint8Array): Uint8Array {
    if (this.#isOver) return piece;
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!;
      if (byte !== LF) {
        if (byte !== CR) this.#isLineEmpty = false;
        continue;
      }
      if (this.#isLineEmpty) {
        this.#header.append(piece.subarray(0, i));
        this.#isOver = true;
        return piece.subarray(i + 1);
      }
      this.#isLineEmpty = true;
      this.#lineStart = this.#header.length + i + 1;
    }
    this.#header.append(piece);
    return piece.subarray(piece.length);
  }
}

/** The fields of a header in order, as lines with CR LF; lines that belong to no field are left out. */
export function canonicalFields(header: Uint8Array): CanonicalField[] {
  const fields: CanonicalField[] = [];
  let start = 0;
  while (start < header.length) {
    let end = start;
    do {
      const lf = findByte(header, LF, end);
      end = lf < 0 ? header.length : lf + 1;
    } while (end < header.length && isBlank(header[end]!));
    const field = relaxField(header.subarray(start, end));
    if (field !== undefined) fields.push(field);
    start = end;
  }
  return fields;
}

/** A whole field in relaxed form; undefined if it has no name. */
export function relaxField(field: Uint8Array): CanonicalField | undefined {
  const colon = findByte(field, COLON);
  let end = colon;
  while (end > 0 && isBlank(field[end - 1]!)) end--;
  if (end <= 0) return undefined;
  let name = '';
  const relaxed = new ByteBuffer(field.length);
  for (let i = 0; i < end; i++) {
    if (field[i]! <= SPACE || field[i]! > 126) return undefined;
    name += String.fromCharCode(lowerByte(field[i]!));
  }
  relaxed.appendText(`${name}:`);
  let hasBlank = false;
  const valueStart = relaxed.length;
  for (let i = colon + 1; i < field.length; i++) {
    const byte = field[i]!;
    if (byte === CR || byte === LF) continue;
    if (isBlank(byte)) hasBlank = true;
    else {
      if (hasBlank && relaxed.length > valueStart) relaxed.appendByte(SPACE);
      hasBlank = false;
      relaxed.appendByte(byte);
    }
  }
  return { name, bytes: relaxed.toBytes() };
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Fields one after the other, each with its line end. */
export function joinFields(fields: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < fields.length; i++) parts.push(fields[i]!, new Uint8Array([CR, LF]));
  return concatBytes(parts);
}
