// The Received field that qmail's own queue program puts on top of a message: which process queued it, and for whom.
// Source: the qmail-queue manual page.

import { bytesOf, startsWith } from '../bytes/bytes.ts';

/** Who ran the queue program. */
export interface QueueTrace {
  /** Process id of the queue program. */
  readonly pid: number;
  /** User id of its caller. */
  readonly uid: number;
}

const BEFORE_PID = 'Received: (qmail ';
const BEFORE_UID = ' invoked by uid ';
const AFTER_UID = '); ';
/** Bytes of a message that {@link parseQueueTrace} looks at: the words, and two numbers of ten digits. */
export const QUEUE_TRACE_SIZE_MAX = 64;
const NUMBER_MAX = 0xffffffff;
const DIGITS_MAX = 10;
const ZERO = 48;

/** The field with its LF: `Received: (qmail 4711 invoked by uid 1000); 5 Jan 2026 03:04:05 -0000`. */
export function formatQueueTrace({ pid, uid }: QueueTrace, dateText: string): Uint8Array {
  return bytesOf(`${BEFORE_PID}${pid}${BEFORE_UID}${uid}${AFTER_UID}${dateText}\n`);
}

/** What such a field at the start of a message says; undefined if there is none. Whoever wrote the message can write one. */
export function parseQueueTrace(message: Uint8Array): QueueTrace | undefined {
  const pid = numberAfter(BEFORE_PID, message, 0);
  const uid = pid && numberAfter(BEFORE_UID, message, pid.end);
  if (pid === undefined || uid === undefined) return undefined;
  if (!startsWith(message.subarray(uid.end), bytesOf(AFTER_UID))) return undefined;
  return { pid: pid.value, uid: uid.value };
}

/** Decimal digits behind these words, without leading zeros, of 32 bits. */
function numberAfter(
  words: string,
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly end: number } | undefined {
  if (!startsWith(bytes.subarray(at), bytesOf(words))) return undefined;
  const from = at + words.length;
  let end = from;
  let value = 0;
  for (; end < bytes.length && end - from < DIGITS_MAX; end++) {
    const digit = bytes[end]! - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  const hasLeadingZero = end - from > 1 && bytes[from] === ZERO;
  return end === from || hasLeadingZero || value > NUMBER_MAX ? undefined : { value, end };
}
