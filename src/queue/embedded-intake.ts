// A message on its way into the embedded queue: small ones gather in memory, larger ones go to a file as they come.

import { SystemError } from '../host/system-error.ts';
import { ADDRESS_BYTES_MAX } from './journal-record.ts';
import type { LargeBodies, LargeBody } from './large-bodies.ts';
import type { Accepted, Envelope, Fingerprint, Intake, MessageId } from './queue.ts';

/** A message that is complete, on its way into the journal. */
export interface NewMessage {
  readonly id: MessageId;
  readonly size: number;
  /** Undefined if the bytes are in the large file of that id. */
  readonly body: Uint8Array | undefined;
  readonly envelope: Envelope;
  readonly fingerprint: Fingerprint | undefined;
}

/** What an intake needs of its queue. */
export interface IntakeHost {
  readonly inlineSizeMax: number;
  readonly large: LargeBodies;
  nextId(): MessageId;
  /** Makes the accept record durable. */
  commit(message: NewMessage): Promise<void>;
  /** Calls `accept` unless a message with that fingerprint was accepted lately. */
  once(fingerprint: Fingerprint, accept: () => Promise<MessageId>): Promise<Accepted>;
}

/** See the head of this file. */
export class EmbeddedIntake implements Intake {
  readonly #host: IntakeHost;
  #inline: Buffer = Buffer.allocUnsafe(0);
  #size = 0;
  #id: MessageId | undefined;
  #body: LargeBody | undefined;
  #writing: Promise<void> | undefined;
  #failure: unknown;

  constructor(host: IntakeHost) {
    this.#host = host;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#id === undefined && this.#size + bytes.length <= this.#host.inlineSizeMax) {
      this.#appendInline(bytes);
      return undefined;
    }
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#writeLarge(bytes));
    this.#id ??= this.#host.nextId();
    return this.#writing;
  }

  commit(envelope: Envelope): Promise<MessageId> {
    return this.#commit(envelope, undefined);
  }

  async commitOnce(envelope: Envelope, fingerprint: Fingerprint): Promise<Accepted> {
    const accepted = await this.#host.once(fingerprint, () => this.#commit(envelope, fingerprint));
    if (accepted.isResubmission) this.abort();
    return accepted;
  }

  async #commit(envelope: Envelope, fingerprint: Fingerprint | undefined): Promise<MessageId> {
    const longest = longestAddress(envelope);
    if (longest > ADDRESS_BYTES_MAX) {
      this.abort();
      const reason = new Error(`address of ${longest} bytes, ${ADDRESS_BYTES_MAX} allowed`);
      throw new SystemError('queue', 'message', reason);
    }
    if (this.#id === undefined) {
      const id = this.#host.nextId();
      const body = this.#inline.subarray(0, this.#size);
      await this.#host.commit({ id, size: this.#size, body, envelope, fingerprint });
      return id;
    }
    try {
      await this.#writing;
      if (this.#failure !== undefined) throw this.#failure;
      await this.#body!.seal();
      await this.#host.commit({ id: this.#id, size: this.#size, body: undefined, envelope, fingerprint });
      return this.#id;
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  abort(): void {
    const id = this.#id;
    if (id === undefined) return;
    void (this.#writing ?? Promise.resolve())
      .then(() => this.#body?.close())
      .then(() => this.#host.large.discard(id));
  }

  #appendInline(bytes: Uint8Array): void {
    if (this.#inline.length < this.#size + bytes.length) {
      const grown = Buffer.allocUnsafe(
        Math.min(Math.max(this.#size + bytes.length, this.#inline.length * 2), this.#host.inlineSizeMax),
      );
      grown.set(this.#inline.subarray(0, this.#size));
      this.#inline = grown;
    }
    this.#inline.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  /** Never fails: the first failure is kept for commit, what comes after it is dropped. */
  async #writeLarge(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      if (this.#body === undefined) {
        this.#body = await this.#host.large.create(this.#id!);
        await this.#body.write(this.#inline.subarray(0, this.#size));
        this.#inline = Buffer.allocUnsafe(0);
      }
      await this.#body.write(bytes);
      this.#size += bytes.length;
    } catch (error) {
      this.#failure = error;
    }
  }
}

/** Of everything that a record has two bytes for the length of. */
function longestAddress({ sender, recipients, dsn }: Envelope): number {
  let longest = Math.max(sender.length, (dsn?.envid?.length ?? 0) + 1);
  for (const { address, dsn: asked } of recipients) {
    longest = Math.max(longest, address.length);
    if (asked !== undefined) longest = Math.max(longest, (asked.orcpt?.length ?? 0) + 1);
  }
  return longest;
}
