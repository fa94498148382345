// The Received field that a QMQP server puts on top of a message. Everything in it comes from the network or from the
// caller's environment, so whatever is not plainly part of a name or address is shown as a question mark: no value can
// start another field or a comment. Source: the qmail-qmqpd manual page; RFC 5321 section 4.4.

import { bytesOf } from '../bytes/bytes.ts';

/** What a QMQP server knows of a connection; texts are bytes, one character U+0000 to U+00FF each. */
export interface QmqpTrace {
  /** Name of the client; `unknown` if there is none. */
  readonly remoteHost: string;
  /** Address of the client; `unknown` if there is none. */
  readonly remoteIp: string;
  /** What the client's ident server or certificate says of the user; may be empty. */
  readonly remoteInfo?: string | undefined;
  /** Name or address of this side. */
  readonly local: string;
  /** Date and time as in a Date field. */
  readonly dateText: string;
}

/**
 * The field as bytes: two lines with LF ends, `Received: from HOST (INFO@IP)` and `  by LOCAL with QMQP; DATE`.
 * Bytes other than letters, digits and `.@%+/=:-[]` in a value become `?`; `INFO@` is there if an info is given.
 */
export function receivedByQmqp(trace: QmqpTrace): Uint8Array {
  const info = trace.remoteInfo === undefined ? '' : `${safeText(trace.remoteInfo)}@`;
  return bytesOf(
    `Received: from ${safeText(trace.remoteHost)} (${info}${safeText(trace.remoteIp)})\n` +
      `  by ${safeText(trace.local)} with QMQP; ${trace.dateText}\n`,
  );
}

const SAFE_MARKS = '.@%+/=:-[]';

function safeText(text: string): string {
  let safe = '';
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    safe += isSafe(character) ? character : '?';
  }
  return safe;
}

function isSafe(character: string): boolean {
  if (character >= '0' && character <= '9') return true;
  const lower = character.toLowerCase();
  if (lower >= 'a' && lower <= 'z' && character.charCodeAt(0) < 128) return true;
  return SAFE_MARKS.indexOf(character) >= 0;
}
