// Memory that many may take from, up to a bound that holds for all of them together.

/** Counts bytes that are taken. */
export class MemoryBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Counts so many bytes as taken; false, and nothing is counted, if there are not as many left. */
  take(length: number): boolean {
    if (this.#bytes + length > this.#bytesMax) return false;
    this.#bytes += length;
    return true;
  }

  /** Counts bytes that were taken as free again. */
  give(length: number): void {
    this.#bytes -= length;
  }
}
