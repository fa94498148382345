// The bytes of messages that were accepted just now, for their first delivery: mostly it comes at once, and then nobody need
// read the journal. Each is given once; whoever comes again reads the file. Invariant: never more than so many bytes.

import type { MessageId } from './queue.ts';

/** See the head of this file. */
export class YoungBodies {
  readonly #bodies = new Map<MessageId, Uint8Array>();
  readonly #bytesMax: number;
  #bytes = 0;

  /** @param bytesMax of all messages together; the oldest go when more come in */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Takes the bytes of a message, which must not change any more. */
  keep(id: MessageId, body: Uint8Array): void {
    this.#bodies.set(id, body);
    this.#bytes += body.length;
    for (const [oldest] of this.#bodies) {
      if (this.#bytes <= this.#bytesMax) return;
      this.take(oldest);
    }
  }

  /** Gives the bytes away, if they are here. */
  take(id: MessageId): Uint8Array | undefined {
    const body = this.#bodies.get(id);
    if (body === undefined) return undefined;
    this.#bodies.delete(id);
    this.#bytes -= body.length;
    return body;
  }
}
