// The queue program of a host with a hub: message on descriptor 0, envelope on descriptor 1, result as exit code. The hub
// takes the message through a socket file; when none runs it goes straight into the queue, where the hub will find it. A home
// without a queue is not the hub's; then the hub is reached by QMQP, as from another host.
// Invariant: 0 is told only after the message is on stable storage, and nothing is queued unless the envelope is complete.
// Source: the qmail-queue manual page.

import { existsSync } from 'node:fs';
import { type Environment, readQmqpServers, submitByQmqp } from '../client/qmqp-submit.ts';
import { tryServer } from '../client/qmqp-submit-attempts.ts';
import { concatBytes } from '../core/bytes/bytes.ts';
import {
  type EnvelopeFault,
  formatQueueEnvelope,
  judgeQueueEnvelope,
  type QueueEnvelope,
} from '../core/format/queue-envelope.ts';
import { formatQueueTrace } from '../core/format/queue-trace.ts';
import { formatDate } from '../core/message/date.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { classifyRecipient } from '../core/policy/recipient.ts';
import { encodeQmqpRequest } from '../core/protocol/qmqp/client-session.ts';
import { readDeliveryControls } from '../delivery/delivery-controls.ts';
import { type Clock, SYSTEM_CLOCK } from '../host/clock.ts';
import { canEnter } from '../host/invocation.ts';
import { readDescriptor } from '../host/read-descriptor.ts';
import type { EmbeddedQueue } from '../queue/embedded-queue.ts';
import { readMessageSizeMax } from './message-size.ts';
import { isLocked, openStore } from './open-store.ts';
import { queueSocketPath } from './run-folder.ts';

/** What QMQP can carry. Differs: the original takes 1002. */
const ADDRESS_MAX = 999;

const EXIT_OF_FAULT: { readonly [fault in EnvelopeFault]: number } = {
  short: QUEUE_EXIT.readError,
  malformed: QUEUE_EXIT.envelopeFormat,
  'address-too-long': QUEUE_EXIT.addressTooLong,
};

/** How often, and how long in between, to try again while another process has the queue, or a hub starts or stops. */
const TRIES = 100;
const PAUSE_MS = 100;

/** A message to be queued. */
export interface QueueRequest {
  readonly home: string;
  readonly env: Environment;
  /** In any number of pieces, with the Received field on top. */
  readonly message: readonly Uint8Array[];
  readonly envelope: QueueEnvelope;
  readonly clock: Clock;
}

/** Runs the program on this process's descriptors 0 and 1; resolves with its exit code. */
export async function runHubQueue({ home, env }: { home: string; env: Environment }): Promise<number> {
  if (!canEnter(home)) return QUEUE_EXIT.home;
  try {
    const clock = SYSTEM_CLOCK;
    const body = readDescriptor(0);
    const given = body && readDescriptor(1);
    if (body === undefined || given === undefined) return QUEUE_EXIT.readError;
    const envelope = judgeQueueEnvelope(concatBytes(given), ADDRESS_MAX);
    if (typeof envelope === 'string') return EXIT_OF_FAULT[envelope];
    const who = { pid: process.pid, uid: process.getuid?.() ?? 0 };
    const trace = formatQueueTrace(who, formatDate(clock.nowMs()));
    return await queueMessage({ home, env, message: [trace, ...body], envelope, clock });
  } catch (error) {
    // What V8 throws when it cannot allocate so large an array.
    return error instanceof RangeError ? QUEUE_EXIT.noMemory : QUEUE_EXIT.bug;
  }
}

/** Hands the message to the hub, or puts it into the queue itself; resolves with the exit code. */
export async function queueMessage(request: QueueRequest): Promise<number> {
  const { home, env, message, envelope, clock } = request;
  const wire = encodeQmqpRequest(message, envelope);
  const hub = { host: '', port: 0, path: queueSocketPath(home) };
  for (let tries = 1; ; tries++) {
    // Not final: the hub cannot have the message.
    const { exit, final } = await tryServer(hub, wire, { clock, home });
    if (final) return exit;
    if (!existsSync(`${home}/queue`)) {
      const servers = readQmqpServers({ home, env });
      const given = { servers, message, envelope: formatQueueEnvelope(envelope) };
      return (await submitByQmqp({ ...given, clock, home })).exit;
    }
    const stored = await storeMessage(request);
    if (stored !== undefined) return stored;
    if (tries === TRIES) return QUEUE_EXIT.queueFiles;
    await new Promise<void>((resolve) => void clock.after(PAUSE_MS, resolve));
  }
}

/** Puts the message into the queue; undefined if another process has it. */
async function storeMessage(request: QueueRequest): Promise<number | undefined> {
  let queue: EmbeddedQueue;
  try {
    queue = await openStore(request.home, request.clock);
  } catch (error) {
    return isLocked(error) ? undefined : QUEUE_EXIT.queueFolder;
  }
  const exit = await commitTo(queue, request);
  // What was committed stays so.
  await queue.close().catch(() => undefined);
  return exit;
}

async function commitTo(queue: EmbeddedQueue, { home, message, envelope }: QueueRequest): Promise<number> {
  let size = 0;
  for (const { length } of message) size += length;
  const { sender } = envelope;
  let recipients: ReturnType<typeof classifyRecipient>[];
  try {
    if (size > (readMessageSizeMax(home) ?? size)) return QUEUE_EXIT.refused;
    const controls = readDeliveryControls(home);
    recipients = envelope.recipients.map((recipient) => classifyRecipient(recipient, controls));
  } catch {
    return QUEUE_EXIT.configuration;
  }
  try {
    const intake = queue.begin();
    for (const piece of message) await intake.write(piece);
    await intake.commit({ sender, recipients });
    return QUEUE_EXIT.accepted;
  } catch {
    return QUEUE_EXIT.writeError;
  }
}
