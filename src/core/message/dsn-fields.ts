// The part of a report that programs read: what became of a message, and of each recipient, in fields. Invariant: whatever
// an address or a reply holds, it stays inside its own line. Where an address is not ASCII but UTF-8 the whole part is of the
// newer kind that may say so.
// Source: RFC 3464 section 2 (delivery-status), RFC 6533 section 4 (global-delivery-status).

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf } from '../bytes/bytes.ts';
import { hasHighByte, isUtf8 } from '../bytes/utf8.ts';
import { formatDate } from './date.ts';
import { quoteAddress } from './quote.ts';

/** What became of a recipient (RFC 3464 section 2.3.3). */
export type DsnAction = 'failed' | 'delayed' | 'delivered' | 'relayed';

/** The fields of a recipient; texts have one character per byte. */
export interface DsnRecipient {
  readonly address: Uint8Array;
  /** Type, semicolon, blank, address, decoded; as its sender gave it. */
  readonly original?: string | undefined;
  readonly action: DsnAction;
  /** As `5.1.1`. */
  readonly status: string;
  /** Address or name of the host that said so. */
  readonly host?: string | undefined;
  readonly words: string;
  /** Whether {@link words} are an SMTP reply. */
  readonly isReply: boolean;
  /** Until when it is tried, for what is delayed, ms since 1970. */
  readonly untilMs?: number | undefined;
}

/** The fields of a message. */
export interface DsnMessage {
  /** Name of the host that reports. */
  readonly host: Uint8Array;
  /** The sender's own name for the envelope, decoded. */
  readonly envid?: string | undefined;
  readonly arrivalMs: number;
  /** Its number in the queue. */
  readonly id: number;
}

/** Longest value of a field; the words are in the part for people in full. */
const VALUE_LENGTH_MAX = 900;
const SPACE = 32;
const LAST_PRINTABLE = 126;

/** Whether any address needs the kind for addresses beyond ASCII. */
export function needsGlobal(recipients: readonly DsnRecipient[]): boolean {
  for (let i = 0; i < recipients.length; i++) {
    const { address, original } = recipients[i]!;
    if (isWide(address) || (original !== undefined && isWide(bytesOf(original)))) return true;
  }
  return false;
}

/** The body of the part: the message's fields, then a group for each recipient. */
export function formatDsnFields(message: DsnMessage, recipients: readonly DsnRecipient[]): Uint8Array {
  const body = new ByteBuffer(1024);
  const isGlobal = needsGlobal(recipients);
  appendField(body, 'Reporting-MTA: dns; ', message.host, false);
  if (message.envid !== undefined) appendField(body, 'Original-Envelope-Id: ', bytesOf(message.envid), false);
  appendField(body, 'Arrival-Date: ', bytesOf(formatDate(message.arrivalMs)), false);
  appendField(body, 'X-Qmail-Queue-Id: ', bytesOf(String(message.id)), false);
  for (let i = 0; i < recipients.length; i++) appendRecipient(body, recipients[i]!, isGlobal);
  return body.toBytes();
}

function appendRecipient(body: ByteBuffer, recipient: DsnRecipient, isGlobal: boolean): void {
  const { address, original, action, status, host, words, isReply, untilMs } = recipient;
  body.appendText('\n');
  if (original !== undefined) appendField(body, 'Original-Recipient: ', bytesOf(original), isGlobal);
  // A quoted form has no sense there.
  if (isWide(address)) appendField(body, 'Final-Recipient: utf-8; ', address, true);
  else appendField(body, 'Final-Recipient: rfc822; ', quoteAddress(address), false);
  body.appendText(`Action: ${action}\nStatus: ${status}\n`);
  if (host !== undefined) appendField(body, 'Remote-MTA: ', bytesOf(nameHost(host)), false);
  if (words !== '')
    appendField(body, `Diagnostic-Code: ${isReply ? 'smtp' : 'x-qmail'}; `, bytesOf(words), false);
  if (untilMs !== undefined) appendField(body, 'Will-Retry-Until: ', bytesOf(formatDate(untilMs)), false);
}

function isWide(address: Uint8Array): boolean {
  return hasHighByte(address) && isUtf8(address);
}

/** A value on one line: runs of line ends and blanks as one blank, what cannot be shown as `?`, cut off where it is too long. */
function appendField(body: ByteBuffer, name: string, value: Uint8Array, allowsHigh: boolean): void {
  body.appendText(name);
  let length = 0;
  let isBlankDue = false;
  for (let i = 0; i < value.length && length < VALUE_LENGTH_MAX; i++) {
    const byte = value[i]!;
    if (byte === SPACE || (byte >= 9 && byte <= 13)) {
      isBlankDue = length > 0;
      continue;
    }
    if (isBlankDue) {
      body.appendByte(SPACE);
      length++;
    }
    isBlankDue = false;
    const isShown = byte > SPACE && (byte <= LAST_PRINTABLE || (allowsHigh && byte > 127));
    body.appendText(isShown ? String.fromCharCode(byte) : '?');
    length++;
  }
  body.appendText('\n');
}

/** With its type; an address in brackets, as in mail addresses (RFC 5321 section 4.1.3), the path of a socket as such. */
function nameHost(name: string): string {
  if (name.charAt(0) === '/') return `x-unix; ${name}`;
  if (name.indexOf(':') >= 0) return `dns; [IPv6:${name}]`;
  return isIpv4(name) ? `dns; [${name}]` : `dns; ${name}`;
}

function isIpv4(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const character = name.charAt(i);
    if (character !== '.' && (character < '0' || character > '9')) return false;
  }
  return name !== '';
}
