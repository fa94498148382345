// The server side of a socketmap connection without I/O: questions in, one answer each, in order. All transitions are in this
// file. Invariant: one question is open at a time, so a client that sends many waits, and costs no memory but its own bytes.
// Source: Postfix's socketmap_table(5).

import { encodeNetstring } from '../../bytes/netstring.ts';
import {
  formatSocketmapReply,
  parseSocketmapQuery,
  SOCKETMAP_LENGTH_MAX,
  type SocketmapQuery,
  type SocketmapReply,
} from './messages.ts';
import { NetstringReader } from './netstring-reader.ts';

/**
 * What a client does. `query` asks for a decision; its bytes are copies. `violation` is the last event: the client does not
 * speak the protocol, or left in the middle of a question.
 */
export type SocketmapServerEvent =
  | ({ readonly type: 'query' } & SocketmapQuery)
  | {
      readonly type: 'violation';
      readonly code: 'malformed-query' | 'early-end';
      readonly where: string;
    };

type Phase = 'query' | 'decision' | 'closed';

const WHERE: { readonly [phase in Phase]: string } = {
  query: 'reading a query',
  decision: 'looking up a key',
  closed: 'after the end',
};

/** One connection. The driver calls {@link next} until it says `need-input`, `need-decision` or `closed`. */
export class SocketmapServerSession {
  readonly #reader = new NetstringReader(SOCKETMAP_LENGTH_MAX);
  #phase: Phase = 'query';
  #isEnded = false;
  #output: Uint8Array[] = [];

  /** The phase in words, to follow "while" or a reason. */
  get where(): string {
    return WHERE[this.#phase];
  }

  /** Takes bytes from the client; they must stay unchanged until the next `need-input`. */
  receive(bytes: Uint8Array): void {
    if (this.#phase !== 'closed') this.#reader.receive(bytes);
  }

  /** Tells that the client will send nothing more. */
  receiveEnd(): void {
    this.#isEnded = true;
  }

  /** The next event, or what the session waits for. */
  next(): SocketmapServerEvent | 'need-input' | 'need-decision' | 'closed' {
    if (this.#phase === 'closed') return 'closed';
    if (this.#phase === 'decision') return 'need-decision';
    const content = this.#reader.next();
    if (content === 'malformed') return this.#violate('malformed-query');
    if (content === 'need-input') return this.#starve();
    const query = parseSocketmapQuery(content);
    if (query === undefined) return this.#violate('malformed-query');
    this.#phase = 'decision';
    return { type: 'query', name: query.name, key: query.key };
  }

  /** Answers the question. */
  decide(reply: SocketmapReply): void {
    if (this.#phase !== 'decision') throw new Error(`Cannot answer while ${this.where}`);
    this.#output.push(encodeNetstring(formatSocketmapReply(reply)));
    this.#phase = 'query';
  }

  /** Bytes for the client; each is given once. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #starve(): SocketmapServerEvent | 'need-input' | 'closed' {
    if (!this.#isEnded) return 'need-input';
    if (!this.#reader.isBetween) return this.#violate('early-end');
    this.#phase = 'closed';
    return 'closed';
  }

  #violate(code: 'malformed-query' | 'early-end'): SocketmapServerEvent {
    const where = this.where;
    this.#phase = 'closed';
    return { type: 'violation', code, where };
  }
}
