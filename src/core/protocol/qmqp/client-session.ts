// The client side of QMQP without I/O: the request as bytes, and one reply.
// Invariant: a message counts as accepted or refused only if a whole netstring says so. Differs: qmail-qmqpc takes the
// first K, Z or D anywhere in what the server sends for the answer, so that the error page of some other server that
// happens to hold a K loses mail; here such a reply is a failure of communication and the mail is kept.
// Source: https://cr.yp.to/proto/qmqp.html

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { bytesOf } from '../../bytes/bytes.ts';
import { netstringHead, netstringLength } from '../../bytes/netstring.ts';
import type { QueueEnvelope } from '../../format/queue-envelope.ts';
import type { OutcomeLetter } from '../../policy/outcome.ts';

/** What came of a request: the reply's letter, or why there is none. */
export type QmqpClientEvent =
  | { readonly type: 'reply'; readonly letter: OutcomeLetter }
  | {
      readonly type: 'violation';
      readonly code: 'malformed-reply' | 'early-end' | 'timeout';
      readonly where: string;
    };

/**
 * The request for a message and its envelope, as byte strings to be sent in order. The message, in any number of
 * pieces, is neither copied nor looked at: a piece may be anything that knows its length in bytes.
 */
export function encodeQmqpRequest<Piece extends { readonly length: number }>(
  message: readonly Piece[],
  envelope: QueueEnvelope,
): (Piece | Uint8Array)[] {
  let size = 0;
  for (const piece of message) size += piece.length;
  const tail = new ByteBuffer();
  tail.appendText(',');
  appendNetstring(tail, envelope.sender);
  for (const recipient of envelope.recipients) appendNetstring(tail, recipient);
  // The comma that ends the message's netstring stands at the start of the tail.
  const contentLength = netstringLength(size) - 1 + tail.length;
  tail.appendText(',');
  return [bytesOf(netstringHead(contentLength) + netstringHead(size)), ...message, tail.view()];
}

function appendNetstring(buffer: ByteBuffer, content: Uint8Array): void {
  buffer.appendText(netstringHead(content.length));
  buffer.append(content);
  buffer.appendText(',');
}

type Phase = 'length' | 'letter' | 'text' | 'comma' | 'closed';

const WHERE: { readonly [phase in Phase]: string } = {
  length: 'reading the length of the reply',
  letter: 'reading the letter of the reply',
  text: 'reading the text of the reply',
  comma: 'reading the end of the reply',
  closed: 'after the reply',
};

const COMMA = 44;
const COLON = 58;
const ZERO = 48;
/** Of the text only the beginning is kept, so this is only a limit of what is plausible: nine digits. */
const REPLY_LENGTH_MAX = 999_999_999;

/** Bytes of the text that are kept. */
const TEXT_LENGTH_MAX = 200;

/** Decodes the reply to one request. */
export class QmqpClientSession {
  #phase: Phase = 'length';
  #letter: OutcomeLetter | undefined;
  #remaining = 0;
  #event: QmqpClientEvent | undefined;
  #text = '';

  /** What was read of the reply's text, 200 bytes at most; what is not printable ASCII is a question mark. */
  get text(): string {
    return this.#text;
  }

  /** The phase in words, to follow "while" or a reason. */
  get where(): string {
    return WHERE[this.#phase];
  }

  /** Takes bytes from the server; what follows the reply is ignored. */
  receive(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && this.#phase !== 'closed') {
      if (this.#phase === 'text') at += this.#takeText(bytes.subarray(at));
      else this.#takeByte(bytes[at++]!);
    }
  }

  /** Tells that the server will send nothing more. */
  receiveEnd(): void {
    this.#fail('early-end');
  }

  /** Tells that nothing came in time. */
  timeout(): void {
    this.#fail('timeout');
  }

  /** The reply or why there is none, once; then `closed`. */
  next(): QmqpClientEvent | 'need-input' | 'closed' {
    if (this.#phase !== 'closed') return 'need-input';
    const event = this.#event;
    this.#event = undefined;
    return event ?? 'closed';
  }

  #takeByte(byte: number): void {
    if (this.#phase === 'length') this.#takeLengthByte(byte);
    else if (this.#phase === 'letter') this.#takeLetter(byte);
    else if (byte === COMMA && this.#letter !== undefined)
      this.#close({ type: 'reply', letter: this.#letter });
    else this.#fail('malformed-reply');
  }

  #takeLengthByte(byte: number): void {
    if (byte === COLON && this.#remaining > 0) {
      this.#phase = 'letter';
      return;
    }
    const isLeadingZero = byte === ZERO && this.#remaining === 0;
    const isDigit = byte >= ZERO && byte <= ZERO + 9;
    this.#remaining = this.#remaining * 10 + (byte - ZERO);
    if (!isDigit || isLeadingZero || this.#remaining > REPLY_LENGTH_MAX) this.#fail('malformed-reply');
  }

  #takeLetter(byte: number): void {
    const letter = String.fromCharCode(byte);
    if (letter === 'K' || letter === 'Z' || letter === 'D') {
      this.#letter = letter;
      this.#remaining--;
      this.#phase = this.#remaining > 0 ? 'text' : 'comma';
    } else this.#fail('malformed-reply');
  }

  #takeText(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, this.#remaining);
    for (let i = 0; i < length && this.#text.length < TEXT_LENGTH_MAX; i++) {
      const byte = bytes[i]!;
      this.#text += byte < 0x20 || byte > 0x7e ? '?' : String.fromCharCode(byte);
    }
    this.#remaining -= length;
    if (this.#remaining === 0) this.#phase = 'comma';
    return length;
  }

  #fail(code: 'malformed-reply' | 'early-end' | 'timeout'): void {
    if (this.#phase !== 'closed') this.#close({ type: 'violation', code, where: this.where });
  }

  #close(event: QmqpClientEvent): void {
    this.#phase = 'closed';
    this.#event = event;
  }
}
