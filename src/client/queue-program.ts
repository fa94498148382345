// Handing one message to "the queue program", as every injecting program does: either by starting a program that has
// the qmail-queue interface (message on descriptor 0, envelope on descriptor 1, exit code as result), or in this process
// when that program would be our own QMQP client. Which of the two it was cannot be told from the result.
//
// This file is the interface; spawned-queue-program.ts and own-queue-program.ts implement it, open-queue-program.ts chooses.

import type { EnvelopeDsn } from '../core/policy/notification.ts';
import type { QueueResult } from '../core/policy/outcome.ts';

/** One message on its way to the queue. Call write any number of times, then either finish or abort. */
export interface QueueProgram {
  /**
   * Hands over message bytes; the array may be reused when the promise (if any) has resolved. Never fails: what could
   * not be written is remembered (`writeFailed`), so that the caller reads its input to the end and then judges.
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * Ends the message, hands over the envelope (F sender NUL, T recipient NUL …, NUL) and waits for the end.
   * @param dsn what the sender asked to be told; only a queue in this process can take it
   */
  finish(envelope: Uint8Array, dsn?: EnvelopeDsn): Promise<QueueResult>;
  /** Gives up: the queue program sees the end of its input before a complete envelope and queues nothing. */
  abort(): Promise<void>;
}
