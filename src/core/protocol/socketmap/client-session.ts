// The client side of a socketmap connection without I/O: any number of questions, answered in the order in which they were
// asked. Invariant: an answer that nobody asked for, or that cannot be read, ends the session, since from then on it is not
// known which answer belongs to which question. Source: Postfix's socketmap_table(5).

import { encodeNetstring } from '../../bytes/netstring.ts';
import {
  formatSocketmapQuery,
  parseSocketmapReply,
  SOCKETMAP_LENGTH_MAX,
  type SocketmapQuery,
  type SocketmapReply,
} from './messages.ts';
import { NetstringReader } from './netstring-reader.ts';

/** Why a session cannot go on. */
export type SocketmapViolation = 'malformed-reply' | 'unasked-reply' | 'early-end';

/** An answer to the oldest open question, or why there will be none; the latter is the last event. */
export type SocketmapClientEvent =
  | ({ readonly type: 'reply' } & SocketmapReply)
  | { readonly type: 'violation'; readonly code: SocketmapViolation };

/** One connection. The driver calls {@link next} until it says `need-input` or `closed`. */
export class SocketmapClientSession {
  readonly #reader = new NetstringReader(SOCKETMAP_LENGTH_MAX);
  #openCount = 0;
  #isEnded = false;
  #isClosed = false;
  #output: Uint8Array[] = [];

  /** Questions that wait for their answer. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Asks one more question. */
  ask(query: SocketmapQuery): void {
    if (this.#isClosed) throw new Error('Cannot ask after the end');
    this.#output.push(encodeNetstring(formatSocketmapQuery(query)));
    this.#openCount++;
  }

  /** Takes bytes from the server; they must stay unchanged until the next `need-input`. */
  receive(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#reader.receive(bytes);
  }

  /** Tells that the server will send nothing more. */
  receiveEnd(): void {
    this.#isEnded = true;
  }

  /** The next event, or what the session waits for. */
  next(): SocketmapClientEvent | 'need-input' | 'closed' {
    if (this.#isClosed) return 'closed';
    const content = this.#reader.next();
    if (content === 'need-input') return this.#starve();
    if (content === 'malformed') return this.#violate('malformed-reply');
    const reply = parseSocketmapReply(content);
    if (reply === undefined) return this.#violate('malformed-reply');
    if (this.#openCount === 0) return this.#violate('unasked-reply');
    this.#openCount--;
    return { type: 'reply', status: reply.status, data: reply.data };
  }

  /** Bytes for the server; each is given once. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #starve(): SocketmapClientEvent | 'need-input' | 'closed' {
    if (!this.#isEnded) return 'need-input';
    if (this.#openCount > 0 || !this.#reader.isBetween) return this.#violate('early-end');
    this.#isClosed = true;
    return 'closed';
  }

  #violate(code: SocketmapViolation): SocketmapClientEvent {
    this.#isClosed = true;
    return { type: 'violation', code };
  }
}
