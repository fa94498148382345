// The bytes of messages that were accepted just now, for their first delivery: mostly it comes at once, and then nobody need
// read the journal. Each is given once; whoever comes again reads the file. Invariant: never more than so many bytes.

import type { MessageId } from './queue.ts';

/** See the head of this file. */
export class YoungBodies {
  // Two generations, so that the old go all at once: to look for the oldest one costs more than the rest.
  #fresh = new Map<MessageId, Uint8Array>();
  #older = new Map<MessageId, Uint8Array>();
  readonly #generationBytes: number;
  /** Bytes that came into the newer generation, gone or not. */
  #bytes = 0;

  /** @param bytesMax of all messages together, 0 for none; when more come in, a half of them goes */
  constructor(bytesMax: number) {
    this.#generationBytes = bytesMax / 2;
  }

  /** Takes the bytes of a message, which must not change any more. */
  keep(id: MessageId, body: Uint8Array): void {
    if (this.#bytes + body.length > this.#generationBytes) {
      this.#older = this.#fresh;
      this.#fresh = new Map();
      this.#bytes = 0;
      if (body.length > this.#generationBytes) return;
    }
    this.#fresh.set(id, body);
    this.#bytes += body.length;
  }

  /** Gives the bytes away, if they are here. */
  take(id: MessageId): Uint8Array | undefined {
    const body = this.#fresh.get(id) ?? this.#older.get(id);
    if (body !== undefined && !this.#fresh.delete(id)) this.#older.delete(id);
    return body;
  }
}
