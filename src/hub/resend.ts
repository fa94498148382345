// Sends a message again that has bounced. The new message is in the queue before the kept copy goes, and the queue recognises it
// if that was interrupted: so a crash at any moment leaves at most the copy, and giving the order again makes no second message.

import { hash } from 'node:crypto';
import { bytesOf } from '../core/bytes/bytes.ts';
import { formatDate } from '../core/message/date.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import {
  FINGERPRINT_LENGTH,
  type Fingerprint,
  HELD_MS,
  type MessageId,
  type Queue,
  type QueuedMessage,
  type Recipient,
} from '../queue/queue.ts';
import type { BouncedFiles, BouncedMessage } from './bounced-files.ts';

/** What sending again works with. */
export interface ResendParts {
  readonly queue: Pick<Queue, 'begin'>;
  readonly bounced: Pick<BouncedFiles, 'list' | 'find' | 'read' | 'remove'>;
  /** How a new recipient is delivered. */
  readonly classify: (address: Uint8Array) => Recipient;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Queues a kept message anew for the recipients that had failed, or for another one, and forgets the copy.
 * @param to an address, one character per byte
 * @returns the number of the new message; undefined if there is no copy
 * @throws SystemError when it cannot be read or queued; the copy stays
 */
export async function resend(
  { queue, bounced, classify, clock, log }: ResendParts,
  id: MessageId,
  to: string | undefined,
): Promise<MessageId | undefined> {
  const message = await bounced.find(id);
  if (message === undefined) return undefined;
  const { sender, dsn } = message;
  const body = await bounced.read(id);
  const intake = queue.begin();
  const trace = `Received: (qmail ${process.pid} invoked for resend of message ${id}); ${formatDate(clock.nowMs())}\n`;
  await intake.write(bytesOf(trace));
  await intake.write(body);
  const recipients = to === undefined ? message.recipients : [classify(bytesOf(to))];
  const envelope = {
    sender,
    dsn,
    recipients: recipients.map(({ report: _, ...one }: Recipient & { report?: string }) => one),
  };
  const { id: newId, isResubmission } = await intake.commitOnce(envelope, fingerprintOf(message));
  const bytes = trace.length + body.length;
  if (!isResubmission)
    log.write('resent', { id: newId, of: id, sender, recipients: recipients.length, bytes, to });
  await bounced.remove(id);
  return newId;
}

/** No message of a client has it: what they send is hashed with more before it. */
function fingerprintOf({ id, bouncedMs }: BouncedMessage): Fingerprint {
  return hash('sha256', `resend ${id} bounced ${bouncedMs}`, 'latin1').slice(0, FINGERPRINT_LENGTH);
}

/** Kept messages as an order selects them: the recipients that failed are those left to do. */
export function asSelectable(bounced: ResendParts['bounced']): Pick<Queue, 'list' | 'find'> {
  return {
    async *list() {
      for await (const message of bounced.list()) yield asQueued(message);
    },
    async find(id) {
      const message = await bounced.find(id);
      return message && asQueued(message);
    },
  };
}

function asQueued({ id, birthMs, size, sender, recipients }: BouncedMessage): QueuedMessage {
  const left = recipients.map(({ address, channel }) => ({ address, channel, state: 'todo' as const }));
  return { id, birthMs, size, sender, recipients: left, due: { remote: HELD_MS }, destinations: [] };
}
