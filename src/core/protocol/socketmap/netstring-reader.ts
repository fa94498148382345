// Reads netstrings one after the other from a stream that comes in pieces. Invariant: no more than one netstring's content is
// kept, of no more than the given length, and memory for it is taken as it comes: a peer that announces much and sends little
// costs little. Strict, as the protocols that come after QMQP are: no empty length, no leading zero.
// Source: https://cr.yp.to/proto/netstrings.txt

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { concatBytes } from '../../bytes/bytes.ts';

const COMMA = 44;
const COLON = 58;
const ZERO = 48;
const NOTHING = new Uint8Array(0);

/** See the head of this file. */
export class NetstringReader {
  readonly #lengthMax: number;
  readonly #content = new ByteBuffer(64);
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  /** The length read so far; -1 before its first digit. */
  #length = -1;
  #isInContent = false;
  #isMalformed = false;

  /** @param lengthMax bytes of content; a longer netstring is malformed */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  /** Whether nothing of a netstring is there yet, or left over. */
  get isBetween(): boolean {
    return this.#length < 0 && !this.#isMalformed && this.#at === this.#bytes.length;
  }

  /** Takes bytes; they must stay unchanged until {@link next} asks for more. */
  receive(bytes: Uint8Array): void {
    const isEmpty = this.#at === this.#bytes.length;
    this.#bytes = isEmpty ? bytes : concatBytes([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** The content of the next netstring, a view valid until the next call; or that bytes are needed, or will not help. */
  next(): Uint8Array | 'need-input' | 'malformed' {
    if (this.#length < 0) this.#content.clear();
    while (!this.#isInContent && !this.#isMalformed) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) return 'need-input';
      this.#at++;
      this.#takeLengthByte(byte);
    }
    if (this.#isMalformed) return 'malformed';
    const missing = this.#length - this.#content.length;
    const end = Math.min(this.#at + missing, this.#bytes.length);
    this.#content.append(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    if (end === this.#bytes.length) return 'need-input';
    if (this.#bytes[this.#at++] !== COMMA) {
      this.#isMalformed = true;
      return 'malformed';
    }
    this.#length = -1;
    this.#isInContent = false;
    return this.#content.view();
  }

  #takeLengthByte(byte: number): void {
    if (byte === COLON && this.#length >= 0) {
      this.#isInContent = true;
      return;
    }
    const digit = byte - ZERO;
    const isDigit = digit >= 0 && digit <= 9;
    const value = Math.max(this.#length, 0) * 10 + digit;
    if (!isDigit || this.#length === 0 || value > this.#lengthMax) this.#isMalformed = true;
    else this.#length = value;
  }
}
