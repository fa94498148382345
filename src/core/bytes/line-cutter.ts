// Cuts a text that comes in pieces of any size into lines, in linear time however long a line is.

import { ByteBuffer } from './byte-buffer.ts';
import { findByte } from './bytes.ts';

const LF = 10;

/** Hands every line on without its LF, in order; a last line without one counts. A line is valid until `take` returns. */
export class LineCutter {
  readonly #take: (line: Uint8Array) => void;
  readonly #partial = new ByteBuffer();

  constructor(take: (line: Uint8Array) => void) {
    this.#take = take;
  }

  /** Takes what comes next. */
  receive(bytes: Uint8Array): void {
    let from = 0;
    for (let lf = findByte(bytes, LF); lf >= 0; lf = findByte(bytes, LF, from)) {
      const piece = bytes.subarray(from, lf);
      from = lf + 1;
      if (this.#partial.length === 0) {
        this.#take(piece);
        continue;
      }
      this.#partial.append(piece);
      this.#take(this.#partial.view());
      this.#partial.clear();
    }
    this.#partial.append(bytes.subarray(from));
  }

  /** There is no more. */
  receiveEnd(): void {
    if (this.#partial.length > 0) this.#take(this.#partial.view());
    this.#partial.clear();
  }
}
