// A byte string under construction: amortised linear growth, one copy at the end.

/** Grows by doubling; {@link ByteBuffer.view} is valid until the next append. */
export class ByteBuffer {
  #bytes: Uint8Array;
  #length = 0;

  /** @param capacity bytes reserved at first */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(Math.max(capacity, 1));
  }

  get length(): number {
    return this.#length;
  }

  /** Appends one byte, 0 to 255. */
  appendByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** Appends a copy of the bytes. */
  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Appends a string whose characters are all below U+0100, one byte each. */
  appendText(text: string): void {
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  /** What was appended so far, without a copy; valid until the next append or clear. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of what was appended so far. */
  toBytes(): Uint8Array {
    const copy = new Uint8Array(this.#length);
    copy.set(this.view());
    return copy;
  }

  /** Forgets the content and keeps the memory. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
