// Hands the message on standard input to the queue program under another envelope, for forward and condredirect. The
// message is copied byte for byte behind the delivery line that stops mail loops.
// Invariant: unless the whole input was read, the queue program never sees a complete envelope.

import { formatQueueEnvelope, type QueueEnvelope } from '../core/format/queue-envelope.ts';
import { outcomeOfQueueResult } from '../core/policy/outcome.ts';
import { complain } from '../host/blocking-io.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';
import { openQueueProgram } from './open-queue-program.ts';
import type { QueueProgram } from './queue-program.ts';
import { failPermanently } from './refuse.ts';

const CHUNK_BYTES = 65_536;

/** What to send, and on whose behalf. */
export interface MessageCopy {
  /** Name for messages. */
  readonly program: string;
  readonly envelope: QueueEnvelope;
  /** What goes before the message, as it is. */
  readonly deliveryLine: Uint8Array;
  /** Whether to read a file from its beginning, wherever it stands. */
  readonly fromStart: boolean;
  /** Exit code after success. */
  readonly success: number;
}

/** Sends the copy and says how that went, on standard error and by the exit code that is returned. */
export async function sendCopy(call: ProgramCall, copy: MessageCopy): Promise<number> {
  const { home, ownBin, env } = call;
  const queue = openQueueProgram({ home, ownBin, env: env.strings, customText: false });
  try {
    await copyInput(queue, copy);
  } catch (error) {
    await queue.abort();
    return failOnSystem(copy.program, ['read message'], error);
  }
  try {
    const result = await queue.finish(formatQueueEnvelope(copy.envelope));
    const outcome = outcomeOfQueueResult(result);
    if (outcome.letter === 'D') return failPermanently(copy.program, outcome.text);
    if (outcome.letter === 'Z') return failTemporarily(copy.program, outcome.text);
    complain(`${copy.program}: qp ${result.pid}\n`);
    return copy.success;
  } catch (error) {
    return failOnSystem(copy.program, ['fork'], error);
  }
}

/** @throws SystemError if the input cannot be read */
async function copyInput(queue: QueueProgram, { deliveryLine, fromStart }: MessageCopy): Promise<void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  // The line goes out only once something could be read: what cannot be read at all leaves nothing behind.
  let count = readStandardInput(buffer, fromStart ? 0 : undefined);
  await queue.write(deliveryLine);
  for (let at = count; count > 0; at += count) {
    await queue.write(buffer.subarray(0, count));
    count = readStandardInput(buffer, fromStart ? at : undefined);
  }
}
