// The envelope as programs hand it to a queue program on descriptor 1: F sender NUL, T recipient NUL for each
// recipient, and one more NUL, without which nothing may be queued.
// Source: the qmail-queue manual page.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { findByte } from '../bytes/bytes.ts';

/** Sender and recipients of one message: raw bytes without NUL, either may be empty. */
export interface QueueEnvelope {
  readonly sender: Uint8Array;
  readonly recipients: readonly Uint8Array[];
}

const LETTER_F = 70;
const LETTER_T = 84;

/** The envelope's bytes. The addresses must not hold a NUL. */
export function formatQueueEnvelope(envelope: QueueEnvelope): Uint8Array {
  const buffer = new ByteBuffer();
  appendRecord(buffer, LETTER_F, envelope.sender);
  for (const recipient of envelope.recipients) appendRecord(buffer, LETTER_T, recipient);
  buffer.appendByte(0);
  return buffer.toBytes();
}

function appendRecord(buffer: ByteBuffer, letter: number, address: Uint8Array): void {
  buffer.appendByte(letter);
  buffer.append(address);
  buffer.appendByte(0);
}

/**
 * Reads an envelope; what follows its final NUL is ignored. Undefined if it is not complete or not in this form.
 * The addresses are views of the argument.
 */
export function parseQueueEnvelope(bytes: Uint8Array): QueueEnvelope | undefined {
  const senderEnd = findByte(bytes, 0);
  if (senderEnd < 0 || bytes[0] !== LETTER_F) return undefined;
  const recipients: Uint8Array[] = [];
  let from = senderEnd + 1;
  for (;;) {
    const end = findByte(bytes, 0, from);
    if (end < 0) return undefined;
    if (end === from) return { sender: bytes.subarray(1, senderEnd), recipients };
    if (bytes[from] !== LETTER_T) return undefined;
    recipients.push(bytes.subarray(from + 1, end));
    from = end + 1;
  }
}

/** Why an envelope cannot be used: it ends early, is not in the format, or has an address that is too long. */
export type EnvelopeFault = 'short' | 'malformed' | 'address-too-long';

/**
 * Reads an envelope as qmail's own queue program does, which tells apart what is wrong with it: the first fault counts, and an
 * address is too long once it has more bytes than `addressMax` before its NUL or the end. The addresses are views of the argument.
 */
export function judgeQueueEnvelope(bytes: Uint8Array, addressMax: number): QueueEnvelope | EnvelopeFault {
  let sender: Uint8Array | undefined;
  const recipients: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (sender !== undefined && bytes[at] === 0) return { sender, recipients };
    if (bytes[at] !== (sender === undefined ? LETTER_F : LETTER_T)) return 'malformed';
    const end = findByte(bytes, 0, at + 1);
    if ((end < 0 ? bytes.length : end) - at - 1 > addressMax) return 'address-too-long';
    if (end < 0) return 'short';
    const address = bytes.subarray(at + 1, end);
    if (sender === undefined) sender = address;
    else recipients.push(address);
    at = end + 1;
  }
  return 'short';
}
