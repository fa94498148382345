// Text as it goes over the wire in SMTP: CR LF, LF and CR each end a line and are sent as CR LF; a dot at the beginning of a
// line, whatever ended the line before, is doubled if asked for. Invariant: in the output CR and LF occur only together, so
// with dots doubled the end of a message cannot occur in it (RFC 5321 section 4.5.2).
// Signatures are made over the same text without doubled dots, so that they agree with what a receiver stores.

const LF = 10;
const CR = 13;
const DOT = 46;

/** Encodes one text that comes in pieces of any size; linear time. */
export class WireText {
  readonly #stuffsDots: boolean;
  #isAtLineStart = true;
  #isAfterCr = false;

  /** @param stuffsDots whether dots at the beginning of lines are doubled */
  constructor(stuffsDots: boolean) {
    this.#stuffsDots = stuffsDots;
  }

  /** Whether the last line so far has bytes and no end. */
  get isLineOpen(): boolean {
    return !this.#isAtLineStart;
  }

  /** The piece as it is sent; new memory, at most twice its length. */
  encode(piece: Uint8Array): Uint8Array {
    const sent = new Uint8Array(piece.length * 2);
    let length = 0;
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!;
      if (byte === LF && this.#isAfterCr) {
        this.#isAfterCr = false;
        continue;
      }
      this.#isAfterCr = byte === CR;
      if (byte === LF || byte === CR) {
        sent[length++] = CR;
        sent[length++] = LF;
        this.#isAtLineStart = true;
        continue;
      }
      if (byte === DOT && this.#isAtLineStart && this.#stuffsDots) sent[length++] = DOT;
      sent[length++] = byte;
      this.#isAtLineStart = false;
    }
    return sent.subarray(0, length);
  }
}
