// Reads the replies of an SMTP server as qmail-remote does: the first three bytes are the code, whatever they are, a dash
// behind them says that another line follows, LF ends a line with or without CR before it. Invariant: what is kept of a
// reply is bounded, and a reply that does not end is given up. Source: the qmail-remote manual page, RFC 5321 section 4.2.

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { textOf } from '../../bytes/bytes.ts';

const LF = 10;
const CR = 13;
const DASH = 45;
const CODE_BYTES = 3;
const TEXT_BYTES_MAX = 5000;
const REPLY_BYTES_MAX = 1 << 20;

/** A whole reply. */
export interface ServerReply {
  /** Of its first line; bytes that are not digits make it odd: letters give 500 or more, others may give less than 0. */
  readonly code: number;
  /** All its lines with their codes, without CR; at most 5000 bytes, one character each. */
  readonly text: string;
}

/** Takes bytes and gives replies. */
export class ReplyReader {
  readonly #text = new ByteBuffer(128);
  /** How many bytes of the line have come, as far as that matters: the code, the mark behind it, anything. */
  #column = 0;
  #code = 0;
  #isFirstLine = true;
  #isContinued = false;
  #size = 0;

  /** Takes bytes up to the end of a reply; how many they were, and the reply if it is complete. */
  receive(bytes: Uint8Array): {
    readonly taken: number;
    readonly reply: ServerReply | 'endless' | undefined;
  } {
    for (let i = 0; i < bytes.length; i++) {
      if (this.#size++ >= REPLY_BYTES_MAX) return { taken: bytes.length, reply: 'endless' };
      if (this.#take(bytes[i]!)) return { taken: i + 1, reply: this.#finish() };
    }
    return { taken: bytes.length, reply: undefined };
  }

  /** Whether this byte ends the reply. */
  #take(byte: number): boolean {
    if (byte !== CR && this.#text.length < TEXT_BYTES_MAX) this.#text.appendByte(byte);
    if (this.#column < CODE_BYTES) {
      if (this.#isFirstLine) this.#code = this.#code * 10 + byte - 48;
      this.#column++;
      return false;
    }
    if (this.#column === CODE_BYTES) {
      this.#isContinued = byte === DASH;
      this.#column++;
    }
    if (byte !== LF) return false;
    this.#column = 0;
    this.#isFirstLine = false;
    return !this.#isContinued;
  }

  #finish(): ServerReply {
    const reply = { code: this.#code, text: textOf(this.#text.view()) };
    this.#text.clear();
    this.#code = 0;
    this.#isFirstLine = true;
    this.#size = 0;
    return reply;
  }
}
