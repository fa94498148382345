// What one mail transaction has gathered: its sender and the recipients that were accepted. The recipients are kept in one
// block, in the form in which a queue program takes them, so that a hundred thousand of them cost little more than their bytes.

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { concatBytes } from '../../bytes/bytes.ts';
import { formatQueueEnvelope } from '../../format/queue-envelope.ts';
import type { EnvelopeDsn, MessageDsn, RecipientDsn } from '../../policy/notification.ts';

/** All recipients of one message together. */
export const RECIPIENT_BYTES_MAX = 32_000_000;

const LETTER_T = 84;

/** From MAIL to the end of its message. */
export class SmtpTransaction {
  readonly sender: Uint8Array;
  /** Whether MAIL had the parameter SMTPUTF8. */
  readonly isUtf8: boolean;
  readonly #dsn: MessageDsn | undefined;
  #recipients: ByteBuffer | undefined;
  /** By the recipient's number; not all have one. */
  #recipientDsn: (RecipientDsn | undefined)[] | undefined;
  #dsnLength = 0;
  #recipientCount = 0;

  constructor(sender: Uint8Array, isUtf8: boolean, dsn?: MessageDsn) {
    this.sender = sender;
    this.isUtf8 = isUtf8;
    this.#dsn = dsn;
  }

  get recipientCount(): number {
    return this.#recipientCount;
  }

  /** Whether one more recipient of any length fits. */
  hasRoom(recipientCountMax: number): boolean {
    const bytes = (this.#recipients === undefined ? 0 : this.#recipients.length) + this.#dsnLength;
    return this.#recipientCount < recipientCountMax && bytes < RECIPIENT_BYTES_MAX;
  }

  addRecipient(address: Uint8Array, dsn?: RecipientDsn): void {
    if (dsn !== undefined) {
      this.#recipientDsn ??= [];
      this.#recipientDsn[this.#recipientCount] = dsn;
      this.#dsnLength += dsn.orcpt === undefined ? 1 : dsn.orcpt.length;
    }
    this.#recipients ??= new ByteBuffer(64);
    this.#recipients.appendByte(LETTER_T);
    this.#recipients.append(address);
    this.#recipients.appendByte(0);
    this.#recipientCount++;
  }

  /** What the sender asked to be told; undefined for nothing. */
  dsn(): EnvelopeDsn | undefined {
    if (this.#dsn === undefined && this.#recipientDsn === undefined) return undefined;
    return { message: this.#dsn, recipients: this.#recipientDsn ?? [] };
  }

  /** Sender and recipients as a queue program takes them. */
  envelope(): Uint8Array {
    const empty = formatQueueEnvelope({ sender: this.sender, recipients: [] });
    if (this.#recipients === undefined) return empty;
    const end = empty.length - 1;
    return concatBytes([empty.subarray(0, end), this.#recipients.view(), empty.subarray(end)]);
  }
}
