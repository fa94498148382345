// qmail-qmqpc, and under the name qmail-queue the queue program of a null client: message on descriptor 0, envelope on
// descriptor 1, result as exit code. Invariant: nothing is sent to anybody before both are complete, and nothing is ever
// printed (descriptor 1 is an input here). Source: the qmail-qmqpc manual page.

import { concatBytes } from '../core/bytes/bytes.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { readBlocking } from '../host/blocking-io.ts';
import { isClosedAtStart } from '../host/closed-descriptor.ts';
import { SystemError } from '../host/system-error.ts';
import { type Environment, readQmqpServers, submitByQmqp } from './qmqp-submit.ts';

const READ_SIZE = 65_536;

/** Runs the program on this process's descriptors 0 and 1; resolves with its exit code. */
export async function runQmqpc({ home, env }: { home: string; env: Environment }): Promise<number> {
  const servers = readQmqpServers({ home, env });
  if ('exit' in servers) return servers.exit;
  try {
    const message = readDescriptor(0);
    const envelope = message && readDescriptor(1);
    if (envelope === undefined || message === undefined) return QUEUE_EXIT.readError;
    return await submitByQmqp({ servers, message, envelope: concatBytes(envelope) });
  } catch (error) {
    // What V8 throws when it cannot allocate so large an array.
    return error instanceof RangeError ? QUEUE_EXIT.noMemory : QUEUE_EXIT.bug;
  }
}

/** All bytes of an inherited descriptor in pieces, or undefined if it cannot be read. */
function readDescriptor(descriptor: number): Uint8Array[] | undefined {
  if (isClosedAtStart(descriptor)) return undefined;
  const pieces: Uint8Array[] = [];
  try {
    for (;;) {
      const buffer = new Uint8Array(READ_SIZE);
      const length = readBlocking(descriptor, buffer);
      if (length === 0) return pieces;
      // A short piece is copied out of its buffer: a writer of single bytes must not cost 64 KB for each.
      pieces.push(length * 2 < READ_SIZE ? buffer.slice(0, length) : buffer.subarray(0, length));
    }
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
