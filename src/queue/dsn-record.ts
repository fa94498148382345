// What a sender asked to be told (RFC 3461), as bytes that the store keeps beside a message and its recipients; nearly all
// messages have none of it and pay nothing. docs/internals/queue.md has the layout.

import type { MessageDsn, RecipientDsn } from '../core/policy/notification.ts';
import type { Envelope } from './queue.ts';

const RETURNS = [undefined, 'full', 'hdrs'] as const;
/** In place of the notify flags when none were given. */
const NO_NOTIFY = 255;

/** A byte that says what to return (0 not said, 1 all, 2 header), then the identifier. */
export function encodeMessageDsn({ ret, envid = '' }: MessageDsn): Uint8Array {
  return Buffer.concat([Uint8Array.of(RETURNS.indexOf(ret)), Buffer.from(envid, 'latin1')]);
}

/** Reads what {@link encodeMessageDsn} made. */
export function decodeMessageDsn(bytes: Uint8Array): MessageDsn {
  const ret = RETURNS[bytes[0] ?? 0];
  const envid = Buffer.from(bytes).toString('latin1', 1);
  return { ...(ret && { ret }), ...(envid !== '' && { envid }) };
}

/** A byte of flags (255 for none given), then the original recipient. */
export function encodeRecipientDsn({ notify = NO_NOTIFY, orcpt = '' }: RecipientDsn): Uint8Array {
  return Buffer.concat([Uint8Array.of(notify), Buffer.from(orcpt, 'latin1')]);
}

/** Reads what {@link encodeRecipientDsn} made. */
export function decodeRecipientDsn(bytes: Uint8Array): RecipientDsn {
  const [notify = NO_NOTIFY] = bytes;
  const orcpt = Buffer.from(bytes).toString('latin1', 1);
  return { ...(notify !== NO_NOTIFY && { notify }), ...(orcpt !== '' && { orcpt }) };
}

/** What a column of a message says: nothing if it is empty. */
export function messageDsn(bytes: Uint8Array | null): { dsn?: MessageDsn } {
  return bytes === null ? {} : { dsn: decodeMessageDsn(bytes) };
}

/** The same for a recipient. */
export function recipientDsn(bytes: Uint8Array | null): { dsn?: RecipientDsn } {
  return bytes === null ? {} : { dsn: decodeRecipientDsn(bytes) };
}

/** What a journal record says of a whole message: for the message, then by index for each recipient that has something. */
export function encodeDsnSection({ dsn, recipients }: Envelope): Uint8Array | undefined {
  if (!hasDsn({ dsn, recipients })) return undefined;
  const message = encodeMessageDsn(dsn ?? {});
  const parts: Uint8Array[] = [u16(message.length), message];
  recipients.forEach((recipient, index) => {
    if (recipient.dsn === undefined) return;
    const bytes = encodeRecipientDsn(recipient.dsn);
    const place = Buffer.alloc(4);
    place.writeUInt32LE(index);
    parts.push(place, u16(bytes.length), bytes);
  });
  return Buffer.concat(parts);
}

/** Reads what {@link encodeDsnSection} made. */
export function decodeDsnSection(section: Buffer): {
  readonly message: MessageDsn;
  readonly recipients: ReadonlyMap<number, RecipientDsn>;
} {
  const recipients = new Map<number, RecipientDsn>();
  let at = 2 + section.readUInt16LE(0);
  const message = decodeMessageDsn(section.subarray(2, at));
  while (at < section.length) {
    const end = at + 6 + section.readUInt16LE(at + 4);
    recipients.set(section.readUInt32LE(at), decodeRecipientDsn(section.subarray(at + 6, end)));
    at = end;
  }
  return { message, recipients };
}

function hasDsn({ dsn, recipients }: Pick<Envelope, 'dsn' | 'recipients'>): boolean {
  if (dsn !== undefined) return true;
  for (const recipient of recipients) if (recipient.dsn !== undefined) return true;
  return false;
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 255, value >> 8);
}
