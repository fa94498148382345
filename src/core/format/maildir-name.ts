// Names on disk for mailboxes and messages. An address is not a path: each part of it becomes exactly one file name that
// cannot mean another folder, cannot be hidden, and can be turned back.
//
// A part is written as its bytes, except that `/`, `%`, NUL, control bytes, DEL and bytes from 128 on are written as `%XX`
// (capital hexadecimal), and so is a dot at the beginning. The empty part is `%`. A part whose name would be longer than 200
// bytes has no name: file systems end at 255, and cutting would send two addresses to one mailbox.
// Source of the message names: cr.yp.to/proto/maildir.html.

import { lowerCase } from '../bytes/bytes.ts';
import { domainOf } from './domain-map.ts';

/** Longest file name made of a part of an address, in bytes. */
export const MAILBOX_PART_BYTES_MAX = 200;

const SLASH = 47;
const PERCENT = 37;
const DOT = 46;
const HEX = '0123456789ABCDEF';

/**
 * The folder of an address's mailbox below the folder of all mailboxes, `DOMAIN/LOCAL` with the domain in lower case;
 * undefined if the address has no `@` or a part has no name.
 */
export function mailboxPath(address: Uint8Array): string | undefined {
  const domain = domainOf(address);
  if (domain === undefined) return undefined;
  const domainName = encodeMailboxPart(lowerCase(domain));
  const localName = encodeMailboxPart(address.subarray(0, address.length - domain.length - 1));
  if (domainName === undefined || localName === undefined) return undefined;
  return `${domainName}/${localName}`;
}

/** The file name of one part; undefined if it would be too long. */
export function encodeMailboxPart(part: Uint8Array): string | undefined {
  if (part.length > MAILBOX_PART_BYTES_MAX) return undefined;
  if (part.length === 0) return '%';
  let name = '';
  for (let i = 0; i < part.length; i++) {
    const byte = part[i]!;
    const plain = byte > 31 && byte < 127 && byte !== SLASH && byte !== PERCENT && !(byte === DOT && i === 0);
    name += plain ? String.fromCharCode(byte) : `%${HEX.charAt(byte >> 4)}${HEX.charAt(byte & 15)}`;
  }
  return name.length > MAILBOX_PART_BYTES_MAX ? undefined : name;
}

/** What names one message for one recipient, in this attempt and in every later one. */
export interface DeliveryIdentity {
  /** When the queue accepted the message, ms since 1970. */
  readonly birthMs: number;
  /** The message in its queue. */
  readonly message: number;
  /** The recipient in the message. */
  readonly recipient: number;
}

/**
 * The unique name `SECONDS.MmicrosecondsQmessageRrecipient.HOST`; `/` and `:` in the host are written as octal escapes.
 * It is the same each time the same message is delivered to the same recipient, so that a delivery whose verdict was lost
 * in a crash can be recognised.
 */
export function formatMessageName(identity: DeliveryIdentity, host: string): string {
  const seconds = Math.floor(identity.birthMs / 1000);
  const microseconds = (Math.floor(identity.birthMs) % 1000) * 1000;
  return `${seconds}.M${microseconds}Q${identity.message}R${identity.recipient}.${safeHostName(host)}`;
}

/** The host's name as part of a message's name: `/` and `:` are written as octal escapes. */
export function safeHostName(host: string): string {
  let safe = '';
  for (let i = 0; i < host.length; i++) {
    const character = host.charAt(i);
    safe += character === '/' ? '\\057' : character === ':' ? '\\072' : character;
  }
  return safe;
}
