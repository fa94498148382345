// The server side of QMQP without I/O: one request, one reply. All transitions are in this file.
// Invariant: what is announced as the message and the addresses is exactly what the netstrings hold, each byte of the
// request is looked at once, and nothing is kept but one address of at most 999 bytes. A byte budget, set to the outer
// length, makes sure that the inner netstrings end exactly where the outer one does.
// Differs from a strict netstring reader, as qmail-qmqpd does: a length may be empty (0) or have leading zeros.
// Source: https://cr.yp.to/proto/qmqp.html; the qmail-qmqpd manual page.

import { bytesOf, concatBytes } from '../../bytes/bytes.ts';
import { encodeNetstring } from '../../bytes/netstring.ts';
import type { Outcome } from '../../policy/outcome.ts';

/** How long one session may take in all, from its start to the reply. Source: the QMQP page, "one hour". */
export const QMQP_SESSION_MS = 3_600_000;

/**
 * Why a request cannot be read: `bad-length` (no digit in a length), `missing-comma`, `length-disagreement` (the inner
 * netstrings do not end with the outer one), `length-overflow` (a length over about 2,000,000,000), `early-end` (the
 * client closed), `timeout`.
 */
export type QmqpViolation =
  | 'bad-length'
  | 'missing-comma'
  | 'length-disagreement'
  | 'length-overflow'
  | 'early-end'
  | 'timeout';

/**
 * What a request consists of, in this order. `data` holds a view of the received bytes, valid until the next call of
 * receive; addresses are copies. `request-end` asks for a decision, whose letter and text are then the reply; when
 * `refused`, the session's own refusal is sent whatever is decided. `violation` is the last event: no reply is sent.
 */
export type QmqpServerEvent =
  | { readonly type: 'message-start'; readonly size: number }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'message-end' }
  | { readonly type: 'sender'; readonly address: Uint8Array }
  | { readonly type: 'recipient'; readonly address: Uint8Array }
  | { readonly type: 'request-end'; readonly refused: boolean }
  | { readonly type: 'violation'; readonly code: QmqpViolation; readonly where: string };

/** Limits of a server; what is left out is not limited. */
export interface QmqpServerLimits {
  /** Bytes of a message. */
  readonly messageSizeMax?: number | undefined;
  readonly recipientCountMax?: number | undefined;
  /** Bytes of sender and recipients together. */
  readonly addressBytesMax?: number | undefined;
}

type Phase =
  | 'outer-length'
  | 'message-length'
  | 'message'
  | 'message-comma'
  | 'address-length'
  | 'address'
  | 'address-comma'
  | 'final-comma'
  | 'decision'
  | 'closed';

const WHERE: { readonly [phase in Phase]: string } = {
  'outer-length': 'reading the length of the request',
  'message-length': 'reading the length of the message',
  message: 'reading the message',
  'message-comma': 'reading the end of the message',
  'address-length': 'reading the length of an address',
  address: 'reading an address',
  'address-comma': 'reading the end of an address',
  'final-comma': 'reading the end of the request',
  decision: 'waiting for the queue',
  closed: 'after the reply',
};

const COMMA = 44;
const COLON = 58;
/** Bytes that the outer length may take, its colon included. */
const OUTER_LENGTH_BYTES_MAX = 100;
/** A length above this must not have another digit. */
const LENGTH_STEP_MAX = 200_000_000;
/** Addresses of this length and longer are refused. */
const ADDRESS_LENGTH_REFUSED = 1000;

const ADDRESS_REFUSED: Outcome = {
  letter: 'D',
  text: "sorry, I can't accept addresses like that (#5.1.3)",
};
const SIZE_REFUSED: Outcome = { letter: 'D', text: 'sorry, that message exceeds my size limit (#5.3.4)' };
const COUNT_REFUSED: Outcome = { letter: 'D', text: 'sorry, that message has too many recipients (#5.5.3)' };

const NOTHING = new Uint8Array(0);
const MESSAGE_END: QmqpServerEvent = { type: 'message-end' };
const ACCEPTABLE_END: QmqpServerEvent = { type: 'request-end', refused: false };
const REFUSED_END: QmqpServerEvent = { type: 'request-end', refused: true };

/**
 * Reads one request and writes one reply. The driver calls {@link next} until it says `need-input`, `need-decision` or
 * `closed`; bytes after the request are ignored.
 *
 * A request that breaks a limit or has an address that qmail cannot take (1000 bytes or more, or a NUL) is read to its
 * end all the same and then refused for good: a client that is still sending would lose an earlier reply, take that for
 * a temporary failure and send it all again, for ever. From the moment that the refusal is certain there are no more
 * events but `request-end` or `violation`, so a message over the limit is thrown away as it comes, unannounced.
 */
export class QmqpServerSession {
  #phase: Phase = 'outer-length';
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  #ended = false;
  #budget = OUTER_LENGTH_BYTES_MAX;
  /** The length being read; then what is still to come of the message or address. */
  #value = 0;
  #address: Uint8Array | undefined;
  #senderIsNext = true;
  #recipientCount = 0;
  #addressBytes = 0;
  #refusal: Outcome | undefined;
  #output: Uint8Array[] = [];
  readonly #limits: QmqpServerLimits;

  constructor(limits: QmqpServerLimits = {}) {
    this.#limits = limits;
  }

  /** The phase in words, to follow "while" or a reason. */
  get where(): string {
    return WHERE[this.#phase];
  }

  /** The refusal that is certain, if any; known at the latest with `request-end`. */
  get refusal(): Outcome | undefined {
    return this.#refusal;
  }

  /** Whether bytes are there behind the request, which nobody reads. */
  get hasExcess(): boolean {
    return this.#phase === 'decision' && this.#at < this.#bytes.length;
  }

  /** Takes bytes from the client; they must stay unchanged until the next `need-input`. */
  receive(bytes: Uint8Array): void {
    const isEmpty = this.#at === this.#bytes.length;
    this.#bytes = isEmpty ? bytes : concatBytes([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** Tells that the client will send nothing more. */
  receiveEnd(): void {
    this.#ended = true;
  }

  /** Tells that {@link QMQP_SESSION_MS} have passed; the next event is a violation, unless the reply is written. */
  timeout(): QmqpServerEvent | 'closed' {
    return this.#phase === 'closed' ? 'closed' : this.#violate('timeout');
  }

  /** The next event, or what the session waits for. */
  next(): QmqpServerEvent | 'need-input' | 'need-decision' | 'closed' {
    for (;;) {
      const step = this.#step();
      if (step !== undefined) return step;
    }
  }

  /** Answers `request-end`. The reply is the letter and the text, whose characters are bytes (U+0000 to U+00FF). */
  decide(answer: Outcome): void {
    if (this.#phase !== 'decision') throw new Error(`Cannot decide on a request while ${this.where}`);
    const { letter, text } = this.#refusal ?? answer;
    this.#output.push(encodeNetstring(bytesOf(letter + text)));
    this.#phase = 'closed';
  }

  /** Bytes for the client; each is given once. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #step(): QmqpServerEvent | 'need-input' | 'need-decision' | 'closed' | undefined {
    switch (this.#phase) {
      case 'outer-length':
        return this.#readLength() ?? this.#onOuterLength();
      case 'message-length':
        return this.#readLength() ?? this.#onMessageLength();
      case 'message':
        return this.#readMessage();
      case 'message-comma':
        return this.#readComma() ?? this.#onMessageEnd();
      case 'address-length':
        return this.#readLength() ?? this.#onAddressLength();
      case 'address':
        return this.#readAddress();
      case 'address-comma':
        return this.#readComma() ?? this.#onAddressEnd();
      case 'final-comma':
        return this.#readComma() ?? this.#onRequestEnd();
      case 'decision':
        return 'need-decision';
      case 'closed':
        return 'closed';
    }
  }

  #onOuterLength(): undefined {
    this.#budget = this.#value;
    this.#value = 0;
    this.#phase = 'message-length';
  }

  #onMessageLength(): QmqpServerEvent | undefined {
    const size = this.#value;
    this.#phase = 'message';
    if (size > (this.#limits.messageSizeMax ?? size)) {
      this.#refusal = SIZE_REFUSED;
      return undefined;
    }
    return { type: 'message-start', size };
  }

  #readMessage(): QmqpServerEvent | 'need-input' | undefined {
    if (this.#value === 0) {
      this.#phase = 'message-comma';
      return undefined;
    }
    const length = Math.min(this.#value, this.#readable());
    if (length === 0) return this.#starve();
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#skip(length);
    this.#value -= length;
    return this.#refusal === undefined ? { type: 'data', bytes } : undefined;
  }

  #onMessageEnd(): QmqpServerEvent | undefined {
    this.#phase = 'address-length';
    return this.#refusal === undefined ? MESSAGE_END : undefined;
  }

  #onAddressLength(): undefined {
    const length = this.#value;
    this.#phase = 'address';
    if (length >= ADDRESS_LENGTH_REFUSED) this.#refusal ??= ADDRESS_REFUSED;
    this.#addressBytes += length;
    if (!this.#senderIsNext) this.#recipientCount++;
    const { recipientCountMax, addressBytesMax } = this.#limits;
    if (recipientCountMax !== undefined && this.#recipientCount > recipientCountMax)
      this.#refusal ??= COUNT_REFUSED;
    if (addressBytesMax !== undefined && this.#addressBytes > addressBytesMax)
      this.#refusal ??= COUNT_REFUSED;
    this.#address = this.#refusal === undefined ? new Uint8Array(length) : undefined;
  }

  #readAddress(): QmqpServerEvent | 'need-input' | undefined {
    if (this.#value === 0) {
      this.#phase = 'address-comma';
      return undefined;
    }
    const length = Math.min(this.#value, this.#readable());
    if (length === 0) return this.#starve();
    const address = this.#address;
    if (address !== undefined) this.#copyAddress(address, length);
    this.#skip(length);
    this.#value -= length;
    return undefined;
  }

  #copyAddress(address: Uint8Array, length: number): void {
    const bytes = this.#bytes;
    const from = this.#at;
    const to = address.length - this.#value;
    for (let i = 0; i < length; i++) {
      const byte = bytes[from + i]!;
      if (byte === 0) this.#refusal = ADDRESS_REFUSED;
      address[to + i] = byte;
    }
  }

  #onAddressEnd(): QmqpServerEvent | undefined {
    const type = this.#senderIsNext ? 'sender' : 'recipient';
    const address = this.#address;
    this.#address = undefined;
    this.#senderIsNext = false;
    if (this.#budget > 0) this.#phase = 'address-length';
    else {
      this.#budget = 1;
      this.#phase = 'final-comma';
    }
    if (address === undefined || this.#refusal !== undefined) return undefined;
    return { type, address };
  }

  #onRequestEnd(): QmqpServerEvent {
    this.#phase = 'decision';
    return this.#refusal === undefined ? ACCEPTABLE_END : REFUSED_END;
  }

  /** Reads a length with its colon into the value; undefined when it is complete. */
  #readLength(): QmqpServerEvent | 'need-input' | undefined {
    const bytes = this.#bytes;
    const start = this.#at;
    const end = start + this.#readable();
    let value = this.#value;
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === COLON) {
        this.#value = value;
        this.#skip(at + 1 - start);
        return undefined;
      }
      if (value > LENGTH_STEP_MAX) return this.#violate('length-overflow');
      if (byte < 48 || byte > 57) return this.#violate('bad-length');
      value = value * 10 + (byte - 48);
    }
    this.#value = value;
    this.#skip(end - start);
    return this.#starve();
  }

  #readComma(): QmqpServerEvent | 'need-input' | undefined {
    if (this.#readable() === 0) return this.#starve();
    if (this.#bytes[this.#at] !== COMMA) return this.#violate('missing-comma');
    this.#skip(1);
    this.#value = 0;
    return undefined;
  }

  /** How many bytes are there that the budget allows to read. */
  #readable(): number {
    return Math.min(this.#bytes.length - this.#at, this.#budget);
  }

  #skip(length: number): void {
    this.#at += length;
    this.#budget -= length;
  }

  /** One more byte is needed: the budget forbids it, or it has to come, or it never will. */
  #starve(): QmqpServerEvent | 'need-input' {
    if (this.#budget === 0) return this.#violate('length-disagreement');
    return this.#ended ? this.#violate('early-end') : 'need-input';
  }

  #violate(code: QmqpViolation): QmqpServerEvent {
    const where = this.where;
    this.#phase = 'closed';
    return { type: 'violation', code, where };
  }
}
