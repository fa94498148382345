// The Received field that a QMQP or SMTP server puts on top of a message. Everything in it comes from the network or from the
// caller's environment, so whatever is not plainly part of a name or address is shown as a question mark: no value can
// start another field or a comment. Source: the qmail-qmqpd and qmail-smtpd manual pages; RFC 5321 section 4.4.

import { bytesOf, equalBytes, lowerCase } from '../bytes/bytes.ts';

/** What a server knows of a connection; texts are bytes, one character U+0000 to U+00FF each. */
export interface ReceivedTrace {
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

/** What an SMTP server knows besides. */
export interface SmtpTrace extends ReceivedTrace {
  /** What the client called itself; undefined if it did not. */
  readonly helo: string | undefined;
  /** What stands after `with`. */
  readonly protocol: string;
  /** Whether `[` and `]` are shown, as notqmail does and netqmail does not. */
  readonly showsBrackets: boolean;
}

/**
 * The field as bytes: two lines with LF ends, `Received: from HOST (INFO@IP)` and `  by LOCAL with QMQP; DATE`.
 * Bytes other than letters, digits and `.@%+/=:-[]` in a value become `?`; `INFO@` is there if an info is given.
 */
export function receivedByQmqp(trace: ReceivedTrace): Uint8Array {
  return receivedField(trace, '', 'QMQP', true);
}

/**
 * The same by SMTP, with ` (HELO NAME)` after HOST where the client called itself otherwise than HOST, in other letters
 * than only upper and lower case.
 */
export function receivedBySmtp(trace: SmtpTrace): Uint8Array {
  const { helo, remoteHost, protocol, showsBrackets } = trace;
  const isOther = helo !== undefined && !equalBytes(lowerCase(bytesOf(helo)), lowerCase(bytesOf(remoteHost)));
  const name = isOther ? ` (HELO ${safeText(helo, showsBrackets)})` : '';
  return receivedField(trace, name, protocol, showsBrackets);
}

function receivedField(
  trace: ReceivedTrace,
  helo: string,
  protocol: string,
  showsBrackets: boolean,
): Uint8Array {
  const safe = (text: string): string => safeText(text, showsBrackets);
  const info = trace.remoteInfo === undefined ? '' : `${safe(trace.remoteInfo)}@`;
  return bytesOf(
    `Received: from ${safe(trace.remoteHost)}${helo} (${info}${safe(trace.remoteIp)})\n` +
      `  by ${safe(trace.local)} with ${protocol}; ${trace.dateText}\n`,
  );
}

const SAFE_MARKS = '.@%+/=:-';
const BRACKETS = '[]';

function safeText(text: string, showsBrackets: boolean): string {
  let safe = '';
  // What is safe is taken in stretches: mostly it is the whole.
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (isSafe(text.charCodeAt(i), showsBrackets)) continue;
    safe += `${text.slice(from, i)}?`;
    from = i + 1;
  }
  return from === 0 ? text : safe + text.slice(from);
}

function isSafe(code: number, showsBrackets: boolean): boolean {
  if (code >= 48 && code <= 57) return true;
  const lower = code | 32;
  if (lower >= 97 && lower <= 122 && code < 128) return true;
  const character = String.fromCharCode(code);
  return SAFE_MARKS.indexOf(character) >= 0 || (showsBrackets && BRACKETS.indexOf(character) >= 0);
}
