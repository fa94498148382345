// The text after DATA: finds its end, turns CR LF to LF, takes away the dots that were added, counts hops and bytes.
// Invariant: only CR LF . CR LF ends a message. A LF without CR before it is never a line end, so no two servers can disagree
// about where this message ends (https://cr.yp.to/docs/smtplf.html); a CR without LF stays what it is, or as configured.
// All transitions are in this file. Source: blast() of qmail-smtpd.

import { bytesOf } from '../../bytes/bytes.ts';

/** What becomes of a CR that no LF follows. */
export type BareCrTreatment = 'keep' | 'reject' | 'space';

/** How one message is to be decoded. */
export interface DataDecoderOptions {
  /** Bytes after decoding; 0 for no limit. */
  readonly sizeMax: number;
  readonly bareCr: BareCrTreatment;
}

/** How far a call came: all bytes taken, the end of the message, or a LF without CR, after which nothing counts. */
export type DataState = 'more' | 'end' | 'stray-lf';

/** So many header fields of earlier hops are too many. */
export const HOPS_MAX = 100;

const LF = 10;
const CR = 13;
const SPACE = 32;
const DOT = 46;

const IN_LINE = 0;
const LINE_START = 1;
const DOT_SEEN = 2;
const DOT_CR_SEEN = 3;
const CR_SEEN = 4;

/** Bytes decoded in one call, so that the buffer for them has a bound. */
const STEP_MAX = 65_536;
const NOTHING = new Uint8Array(0);

const WORDS = [bytesOf('received'), bytesOf('delivered')];

/** Decodes one message piece by piece. */
export class DataDecoder {
  readonly #sizeMax: number;
  readonly #bareCr: BareCrTreatment;
  #state = LINE_START;
  #size = 0;
  #output = NOTHING;
  #length = 0;
  #hasBareCr = false;
  #hops = 0;
  #isInHeader = true;
  /** Raw bytes of this header line so far, as far as they matter. */
  #column = 0;
  /** Whether the line so far is the beginning of each word, or of an empty line. */
  readonly #mayBe: [boolean, boolean] = [true, true];
  #mayBeEmpty = true;

  constructor(options: DataDecoderOptions) {
    this.#sizeMax = options.sizeMax;
    this.#bareCr = options.bareCr;
  }

  /** What the last call decoded, of a message that is too large no more than is allowed; a view that holds until the next call. */
  get output(): Uint8Array {
    const excess = this.#sizeMax > 0 ? Math.max(this.#size - this.#sizeMax, 0) : 0;
    return this.#output.subarray(0, Math.max(this.#length - excess, 0));
  }

  get isTooLarge(): boolean {
    return this.#sizeMax > 0 && this.#size > this.#sizeMax;
  }

  /** Whether there are 100 or more lines in the header that begin with `Received` or `Delivered`. */
  get hasTooManyHops(): boolean {
    return this.#hops >= HOPS_MAX;
  }

  /** Whether there was a CR that must not be, if those are to be rejected. */
  get hasBareCr(): boolean {
    return this.#hasBareCr && this.#bareCr === 'reject';
  }

  /**
   * Decodes from an index on, at most 64 KB and not beyond the end of the message.
   * @returns the state, and the index of the first byte that was not taken
   */
  decode(bytes: Uint8Array, from: number): { state: DataState; next: number } {
    const end = Math.min(bytes.length, from + STEP_MAX);
    // Two bytes may be pending from before.
    if (this.#output.length < end - from + 2) this.#output = new Uint8Array(end - from + 2);
    this.#length = 0;
    for (let at = from; at < end; at++) {
      const byte = bytes[at]!;
      if (this.#isInHeader) this.#scanHeader(byte);
      const state = this.#step(byte);
      if (state === undefined) continue;
      this.#size += this.#length;
      return { state, next: at + 1 };
    }
    this.#size += this.#length;
    return { state: 'more', next: end };
  }

  #step(byte: number): 'end' | 'stray-lf' | undefined {
    if (byte === LF) return this.#onLf();
    if (byte === CR) this.#onCr();
    else if (byte === DOT && this.#state === LINE_START) this.#state = DOT_SEEN;
    else {
      this.#putPending();
      this.#put(byte);
      this.#state = IN_LINE;
    }
    return undefined;
  }

  #onLf(): 'end' | 'stray-lf' | undefined {
    if (this.#state === DOT_CR_SEEN) return 'end';
    if (this.#state !== CR_SEEN) return 'stray-lf';
    this.#put(LF);
    this.#state = LINE_START;
    return undefined;
  }

  #onCr(): void {
    if (this.#state === DOT_SEEN) {
      this.#state = DOT_CR_SEEN;
      return;
    }
    this.#putPending();
    this.#state = CR_SEEN;
  }

  /** What was held back is no end of line or message: it is text. The dot of DOT_SEEN is not; it was added. */
  #putPending(): void {
    if (this.#state === DOT_CR_SEEN) this.#put(DOT);
    if (this.#state === DOT_CR_SEEN || this.#state === CR_SEEN) this.#putBareCr();
  }

  #put(byte: number): void {
    this.#output[this.#length++] = byte;
  }

  #putBareCr(): void {
    this.#hasBareCr = true;
    this.#put(this.#bareCr === 'space' ? SPACE : CR);
  }

  /** Counts hops on the bytes as they come, until an empty line. */
  #scanHeader(byte: number): void {
    const column = this.#column;
    for (let i = 0; i < 2; i++) {
      const word = WORDS[i]!;
      if (!this.#mayBe[i] || column >= word.length) continue;
      const wanted = word[column]!;
      if (byte !== wanted && byte !== wanted - SPACE) this.#mayBe[i] = false;
      else if (column === word.length - 1) this.#hops++;
    }
    if (column < 2 && this.#mayBeEmpty) {
      if (byte !== (column === 0 ? CR : LF)) this.#mayBeEmpty = false;
      else if (column === 1) this.#isInHeader = false;
    }
    this.#column = column + 1;
    if (byte !== LF) return;
    this.#column = 0;
    this.#mayBe[0] = true;
    this.#mayBe[1] = true;
    this.#mayBeEmpty = true;
  }
}
