// A message as a client keeps it while no server takes mail: its envelope as queue programs get it, then the message.
// Invariant: the parts that come out are the bytes that went in, so that a request made of them is the same each time, and a
// server that recognises what it has does so.

import { findByte } from '../bytes/bytes.ts';
import { formatQueueEnvelope, parseQueueEnvelope, type QueueEnvelope } from './queue-envelope.ts';

/** A kept message. */
export interface SpilledMessage {
  readonly envelope: QueueEnvelope;
  readonly message: Uint8Array;
}

/** The bytes to keep, in order. @param envelope as queue programs get it; undefined is returned if it is malformed */
export function formatSpilled(
  envelope: Uint8Array,
  message: readonly Uint8Array[],
): readonly Uint8Array[] | undefined {
  const parsed = parseQueueEnvelope(envelope);
  // Whatever followed its end would be taken for a part of the message.
  return parsed && [formatQueueEnvelope(parsed), ...message];
}

/** What was kept; undefined if it is damaged. The parts are views of the argument. */
export function parseSpilled(content: Uint8Array): SpilledMessage | undefined {
  const envelope = parseQueueEnvelope(content);
  if (envelope === undefined) return undefined;
  let end = 0;
  for (let record = envelope.recipients.length; record >= 0; record--) end = findByte(content, 0, end) + 1;
  return { envelope, message: content.subarray(end + 1) };
}
