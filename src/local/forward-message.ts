// Sends the message on to all addresses of a dot-qmail file in one go, through the queue program of the installation.
// Invariant: unless the whole message was read, the queue program never sees a complete envelope.
// Source: the qmail-local and envelopes manual pages.

import { openQueueProgram } from '../client/open-queue-program.ts';
import { formatQueueEnvelope, type QueueEnvelope } from '../core/format/queue-envelope.ts';
import { outcomeOfQueueResult, type QueueResult } from '../core/policy/outcome.ts';
import { errorText } from '../host/error-text.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { SystemError } from '../host/system-error.ts';
import { deferral, rejection } from './delivery-failure.ts';
import { readMessage, unreadableMessage } from './message.ts';

/** What goes out: the message with this line on top. */
export interface ForwardedMessage {
  readonly envelope: QueueEnvelope;
  readonly deliveredTo: Uint8Array;
}

/** Queues the message; returns the process id of the queue program. @throws DeliveryFailure */
export async function forwardMessage(call: ProgramCall, message: ForwardedMessage): Promise<number> {
  const { home, ownBin, env } = call;
  const queue = openQueueProgram({ home, ownBin, env: env.strings, customText: true });
  try {
    await queue.write(message.deliveredTo);
    for (const piece of readMessage()) await queue.write(piece);
  } catch (error) {
    await queue.abort();
    throw error instanceof SystemError ? unreadableMessage(error) : error;
  }
  let result: QueueResult;
  try {
    result = await queue.finish(formatQueueEnvelope(message.envelope));
  } catch (error) {
    throw deferral('Unable to fork: ', errorText(error), '. (#4.3.0)');
  }
  const { letter, text } = outcomeOfQueueResult(result);
  if (letter === 'K') return result.pid;
  const fail = letter === 'D' ? rejection : deferral;
  throw fail('Unable to forward message: ', text, '.');
}
