// The fingerprint of a QMQP request, taken while it comes in: of the message as the client sent it, before any Received
// field, its sender and its recipients in their order. Invariant: requests that differ in any of these have different
// fingerprints, however they are cut into pieces; one without Message-ID has none, since equal messages may be meant. Nor has
// one whose Message-ID is a process number and a host: that of the next process, or the next message of it, may be the same.

import { createHash, type Hash, hash } from 'node:crypto';
import { netstringHead } from '../core/bytes/netstring.ts';
import { MessageIdProbe } from '../core/message/message-id-probe.ts';
import { FINGERPRINT_LENGTH, type Fingerprint } from '../queue/queue.ts';

/** Pieces are gathered up to here, because calls of the hash cost more than bytes. */
const GATHERED_BYTES_MAX = 1 << 16;
const GATHERED_COUNT_MAX = 128;
const SCRATCH = Buffer.allocUnsafeSlow(GATHERED_BYTES_MAX);
const ALGORITHM = 'sha256';
/** No address has one: the request would have been refused. */
const END_OF_ADDRESS = new Uint8Array(1);

/** See the head of this file. */
export class RequestFingerprint {
  readonly #probe = new MessageIdProbe();
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  #hash: Hash | undefined;

  /** @param size bytes of the message that is to come */
  constructor(size: number) {
    this.#take(Buffer.from(netstringHead(size), 'latin1'));
  }

  /** The Message-ID, cut off if it is very long; undefined without one. */
  get messageId(): Uint8Array | undefined {
    const { value } = this.#probe;
    return value.length > 0 ? value : undefined;
  }

  /** Takes the next bytes of the message, which must not change any more. */
  message(bytes: Uint8Array): void {
    this.#probe.receive(bytes);
    this.#take(bytes);
  }

  /** Takes the sender, then each recipient. */
  address(bytes: Uint8Array): void {
    this.#probe.receiveEnd();
    this.#take(bytes);
    this.#take(END_OF_ADDRESS);
  }

  /** The fingerprint of what was taken; undefined without a Message-ID that tells one message from all others. */
  end(): Fingerprint | undefined {
    if (!this.#probe.isUnique) return undefined;
    const rest = this.#join();
    const digest = this.#hash ? this.#hash.update(rest).digest('latin1') : hash(ALGORITHM, rest, 'latin1');
    return digest.slice(0, FINGERPRINT_LENGTH);
  }

  #take(bytes: Uint8Array): void {
    if (this.#probe.answer === 'absent') {
      this.#pieces = [];
      return;
    }
    const isFull = this.#pieces.length === GATHERED_COUNT_MAX;
    if (isFull || this.#gathered + bytes.length > GATHERED_BYTES_MAX) this.#digest();
    if (bytes.length > GATHERED_BYTES_MAX) {
      this.#hash?.update(bytes);
      return;
    }
    this.#pieces.push(bytes);
    this.#gathered += bytes.length;
  }

  #digest(): void {
    this.#hash ??= createHash(ALGORITHM);
    this.#hash.update(this.#join());
    this.#pieces = [];
    this.#gathered = 0;
  }

  /** What was gathered, valid until the next call for any request. */
  #join(): Uint8Array {
    let at = 0;
    for (const piece of this.#pieces) {
      SCRATCH.set(piece, at);
      at += piece.length;
    }
    return SCRATCH.subarray(0, at);
  }
}
