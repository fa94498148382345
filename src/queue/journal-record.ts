// Records of the journal, bytes to values and back. docs/internals/queue.md has the layout; nothing here does I/O.
// A record is valid only in the segment it was written to: remains of a reused segment's earlier life never pass.

import { crc32 } from 'node:zlib';
import type { MessageDsn } from '../core/policy/notification.ts';
import { decodeDsnSection, encodeDsnSection } from './dsn-record.ts';
import type { Channel, Envelope, Fingerprint, MessageId, Recipient, Verdict } from './queue.ts';
import { CHANNELS, FINGERPRINT_LENGTH } from './queue.ts';
import type { Seen } from './resubmissions.ts';

/** Bytes before a record's payload. */
const RECORD_HEADER_SIZE = 16;
/** Bytes of a start record, header included. */
export const START_RECORD_SIZE = RECORD_HEADER_SIZE + 20;
/** Longest address that a record can hold. */
export const ADDRESS_BYTES_MAX = 65535;

const ACCEPT_FIXED_SIZE = 8 + 8 + 8 + 1 + 4;
const VERDICT_SIZE = 4 + 1 + 4;
const SEEN_SIZE = FINGERPRINT_LENGTH + 8 + 8;
/** In the place of a fingerprint where none is and something follows: no hash is that by chance. */
const NO_FINGERPRINT = '\0'.repeat(FINGERPRINT_LENGTH);
const STATE_NUMBER = { todo: 0, done: 1, failed: 2, warned: 3 } as const;

/** First record of a segment: how far its predecessor counts. */
export interface StartRecord {
  readonly type: 'start';
  /** Number of the previous segment; 0 if there is none. */
  readonly previous: number;
  /** Valid length of the previous segment in bytes. */
  readonly previousLength: number;
  /** No message so far has this id or a higher one. */
  readonly nextId: MessageId;
}

/** A message was taken over. */
export interface AcceptRecord {
  readonly type: 'accept';
  readonly id: MessageId;
  readonly birthMs: number;
  readonly size: number;
  /** Where the message's bytes are: offset in the segment, or undefined if in a file of their own. */
  readonly bodyAt: number | undefined;
  readonly sender: Uint8Array;
  readonly recipients: readonly Recipient[];
  /** Undefined if it need not be recognised; none in records of hubs that recognised nothing. */
  readonly fingerprint: Fingerprint | undefined;
  /** Not there if neither the message nor a recipient has any. */
  readonly dsn?: MessageDsn;
}

/** An attempt's verdicts. */
export interface SettleRecord {
  readonly type: 'settle';
  readonly id: MessageId;
  /** Segment of the message's accept record. */
  readonly segment: number;
  readonly channel: Channel;
  /**
   * When the destinations of the recipients in `again` are tried next, or, if there are none (records of hubs that knew
   * no destinations), the whole channel; undefined leaves the times as they are.
   */
  readonly nextDueMs: number | undefined;
  readonly verdicts: readonly Verdict[];
  /** Indexes of recipients that are still to do, one for each destination meant. */
  readonly again: readonly number[];
  /** If the recipients that are left are parted anew: they are all in `again`, and these are their destinations. */
  readonly destinations?: readonly string[];
}

/** A message is gone. */
export interface RemoveRecord {
  readonly type: 'remove';
  readonly id: MessageId;
  /** Segment of the message's accept record. */
  readonly segment: number;
}

/** Messages that were accepted in segments that are about to go. */
export interface SeenRecord {
  readonly type: 'seen';
  readonly seen: readonly Seen[];
}

/** What a journal holds. */
export type JournalRecord = StartRecord | AcceptRecord | SettleRecord | RemoveRecord | SeenRecord;

/** A record still to be encoded; an accept record comes with its bytes (none if they are in a file). */
export type NewRecord =
  | StartRecord
  | SettleRecord
  | RemoveRecord
  | SeenRecord
  | {
      readonly type: 'accept';
      readonly id: MessageId;
      readonly birthMs: number;
      readonly size: number;
      readonly body: Uint8Array | undefined;
      readonly envelope: Envelope;
      readonly fingerprint: Fingerprint | undefined;
    };

const TYPE_NUMBER = { start: 1, accept: 2, settle: 3, remove: 4, seen: 5 } as const;

/** Length in bytes of the record when encoded, header included. */
export function recordSize(record: NewRecord): number {
  switch (record.type) {
    case 'start':
      return START_RECORD_SIZE;
    case 'accept': {
      let size =
        RECORD_HEADER_SIZE +
        ACCEPT_FIXED_SIZE +
        (record.body?.length ?? 0) +
        2 +
        record.envelope.sender.length +
        4 +
        (record.fingerprint === undefined ? 0 : FINGERPRINT_LENGTH);
      for (const { address } of record.envelope.recipients) size += 3 + address.length;
      const dsn = encodeDsnSection(record.envelope);
      if (dsn === undefined) return size;
      return size + dsn.length + (record.fingerprint === undefined ? FINGERPRINT_LENGTH : 0);
    }
    case 'settle': {
      let size = RECORD_HEADER_SIZE + 25;
      for (const verdict of record.verdicts)
        size += VERDICT_SIZE + (verdict.report === undefined ? 0 : verdict.report.length);
      for (const destination of record.destinations ?? []) size += destination.length;
      return size + VERDICT_SIZE * record.again.length;
    }
    case 'remove':
      return RECORD_HEADER_SIZE + 12;
    case 'seen':
      return RECORD_HEADER_SIZE + 4 + SEEN_SIZE * record.seen.length;
  }
}

/** A place in a buffer that values are written to one after the other. */
class Writer {
  readonly #buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer;
    this.at = at;
  }

  u8(value: number): void {
    this.at = this.#buffer.writeUInt8(value, this.at);
  }

  u16(value: number): void {
    this.at = this.#buffer.writeUInt16LE(value, this.at);
  }

  u32(value: number): void {
    this.at = this.#buffer.writeUInt32LE(value, this.at);
  }

  f64(value: number): void {
    this.at = this.#buffer.writeDoubleLE(value, this.at);
  }

  bytes(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.at);
    this.at += bytes.length;
  }
}

/**
 * Encodes a record into the buffer at `at`, which must have {@link recordSize} bytes left.
 * @param segment number of the segment that it goes to
 * @returns offset of the message's bytes from `at` (accept records), else 0
 */
export function encodeRecord(record: NewRecord, segment: number, buffer: Buffer, at: number): number {
  const writer = new Writer(buffer, at + RECORD_HEADER_SIZE);
  let bodyOffset = 0;
  switch (record.type) {
    case 'start':
      writer.u32(record.previous);
      writer.f64(record.previousLength);
      writer.f64(record.nextId);
      break;
    case 'accept':
      bodyOffset = encodeAccept(writer, record) - at;
      break;
    case 'settle':
      encodeSettle(writer, record);
      break;
    case 'remove':
      writer.f64(record.id);
      writer.u32(record.segment);
      break;
    case 'seen':
      writer.u32(record.seen.length);
      for (const { fingerprint, id, atMs } of record.seen) {
        writer.bytes(Buffer.from(fingerprint, 'latin1'));
        writer.f64(id);
        writer.f64(atMs);
      }
      break;
  }
  buffer.writeUInt32LE(writer.at - at - RECORD_HEADER_SIZE, at + 4);
  buffer.writeUInt32LE(segment, at + 8);
  buffer.writeUInt32LE(TYPE_NUMBER[record.type], at + 12);
  buffer.writeUInt32LE(crc32(buffer.subarray(at + 4, writer.at)), at);
  return bodyOffset;
}

function encodeAccept(writer: Writer, record: NewRecord & { type: 'accept' }): number {
  writer.f64(record.id);
  writer.f64(record.birthMs);
  writer.f64(record.size);
  writer.u8(record.body === undefined ? 1 : 0);
  writer.u32(record.body?.length ?? 0);
  const bodyAt = writer.at;
  if (record.body !== undefined) writer.bytes(record.body);
  writer.u16(record.envelope.sender.length);
  writer.bytes(record.envelope.sender);
  writer.u32(record.envelope.recipients.length);
  for (const { address, channel } of record.envelope.recipients) {
    writer.u8(CHANNELS.indexOf(channel));
    writer.u16(address.length);
    writer.bytes(address);
  }
  const dsn = encodeDsnSection(record.envelope);
  const fingerprint = record.fingerprint ?? (dsn && NO_FINGERPRINT);
  if (fingerprint !== undefined) writer.bytes(Buffer.from(fingerprint, 'latin1'));
  if (dsn !== undefined) writer.bytes(dsn);
  return bodyAt;
}

function encodeSettle(writer: Writer, record: SettleRecord): void {
  writer.f64(record.id);
  writer.u32(record.segment);
  writer.u8(CHANNELS.indexOf(record.channel));
  writer.f64(record.nextDueMs ?? Number.NaN);
  writer.u32(record.verdicts.length + record.again.length);
  for (const [i, index] of record.again.entries()) {
    const destination = Buffer.from(record.destinations?.[i] ?? '', 'latin1');
    writer.u32(index);
    writer.u8(STATE_NUMBER.todo);
    writer.u32(destination.length);
    writer.bytes(destination);
  }
  for (const { index, state, report } of record.verdicts) {
    const text = Buffer.from(report ?? '', 'latin1');
    writer.u32(index);
    writer.u8(STATE_NUMBER[state]);
    writer.u32(text.length);
    writer.bytes(text);
  }
}

/** A decoded record and the offset of the next one. */
export interface Decoded {
  readonly record: JournalRecord;
  readonly end: number;
}

/** The record at `at`, or undefined if there is no valid one of this segment. The record's byte strings are copies. */
export function decodeRecord(buffer: Buffer, at: number, segment: number): Decoded | undefined {
  const payloadAt = at + RECORD_HEADER_SIZE;
  if (payloadAt > buffer.length) return undefined;
  const end = payloadAt + buffer.readUInt32LE(at + 4);
  if (end > buffer.length || buffer.readUInt32LE(at + 8) !== segment) return undefined;
  if (crc32(buffer.subarray(at + 4, end)) !== buffer.readUInt32LE(at)) return undefined;
  const record = decodePayload(buffer, payloadAt, end, buffer.readUInt32LE(at + 12));
  return record && { record, end };
}

function decodePayload(buffer: Buffer, at: number, end: number, type: number): JournalRecord | undefined {
  switch (type) {
    case TYPE_NUMBER.start:
      return {
        type: 'start',
        previous: buffer.readUInt32LE(at),
        previousLength: buffer.readDoubleLE(at + 4),
        nextId: buffer.readDoubleLE(at + 12),
      };
    case TYPE_NUMBER.accept:
      return decodeAccept(buffer, at, end);
    case TYPE_NUMBER.settle:
      return decodeSettle(buffer, at);
    case TYPE_NUMBER.remove:
      return { type: 'remove', id: buffer.readDoubleLE(at), segment: buffer.readUInt32LE(at + 8) };
    case TYPE_NUMBER.seen:
      return decodeSeen(buffer, at);
    default:
      return undefined;
  }
}

function decodeAccept(buffer: Buffer, start: number, end: number): AcceptRecord {
  const bodyHere = buffer.readUInt8(start + 24) === 0;
  const bodyAt = start + ACCEPT_FIXED_SIZE;
  let at = bodyAt + buffer.readUInt32LE(start + 25);
  const text = () => {
    const length = buffer.readUInt16LE(at);
    const bytes = Buffer.from(buffer.subarray(at + 2, at + 2 + length));
    at += 2 + length;
    return bytes;
  };
  const sender = text();
  const count = buffer.readUInt32LE(at);
  at += 4;
  const recipients: Recipient[] = [];
  for (let i = 0; i < count; i++) {
    const channel = CHANNELS[buffer.readUInt8(at++)]!;
    recipients.push({ channel, address: text() });
  }
  const hasDsn = end - at > FINGERPRINT_LENGTH;
  const dsn = hasDsn ? decodeDsnSection(buffer.subarray(at + FINGERPRINT_LENGTH, end)) : undefined;
  for (const [index, one] of dsn?.recipients ?? []) recipients[index] = { ...recipients[index]!, dsn: one };
  const isMarked = end - at >= FINGERPRINT_LENGTH;
  const fingerprint = isMarked ? buffer.toString('latin1', at, at + FINGERPRINT_LENGTH) : undefined;
  return {
    type: 'accept',
    id: buffer.readDoubleLE(start),
    birthMs: buffer.readDoubleLE(start + 8),
    size: buffer.readDoubleLE(start + 16),
    bodyAt: bodyHere ? bodyAt : undefined,
    sender,
    recipients,
    fingerprint: fingerprint === NO_FINGERPRINT ? undefined : fingerprint,
    ...(dsn && { dsn: dsn.message }),
  };
}

function decodeSeen(buffer: Buffer, start: number): SeenRecord {
  const seen: Seen[] = [];
  let at = start + 4;
  for (let left = buffer.readUInt32LE(start); left > 0; left--) {
    const idAt = at + FINGERPRINT_LENGTH;
    seen.push({
      fingerprint: buffer.toString('latin1', at, idAt),
      id: buffer.readDoubleLE(idAt),
      atMs: buffer.readDoubleLE(idAt + 8),
    });
    at += SEEN_SIZE;
  }
  return { type: 'seen', seen };
}

function decodeSettle(buffer: Buffer, start: number): SettleRecord {
  const verdicts: Verdict[] = [];
  const again: number[] = [];
  const destinations: string[] = [];
  const nextDueMs = buffer.readDoubleLE(start + 13);
  let at = start + 25;
  for (let left = buffer.readUInt32LE(start + 21); left > 0; left--) {
    const index = buffer.readUInt32LE(at);
    const length = buffer.readUInt32LE(at + 5);
    const state = buffer.readUInt8(at + 4);
    const report = buffer.toString('latin1', at + VERDICT_SIZE, at + VERDICT_SIZE + length);
    if (state === STATE_NUMBER.todo) {
      again.push(index);
      destinations.push(report);
    } else if (state === STATE_NUMBER.failed) verdicts.push({ index, state: 'failed', report });
    else verdicts.push({ index, state: state === STATE_NUMBER.done ? 'done' : 'warned' });
    at += VERDICT_SIZE + length;
  }
  return {
    type: 'settle',
    id: buffer.readDoubleLE(start),
    segment: buffer.readUInt32LE(start + 8),
    channel: CHANNELS[buffer.readUInt8(start + 12)]!,
    nextDueMs: Number.isNaN(nextDueMs) ? undefined : nextDueMs,
    verdicts,
    again,
    ...(destinations.some((one) => one !== '') && { destinations }),
  };
}
