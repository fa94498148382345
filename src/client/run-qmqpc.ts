// qmail-qmqpc, and under the name qmail-queue the queue program of a null client: message on descriptor 0, envelope on
// descriptor 1, result as exit code. Invariant: nothing is sent to anybody before both are complete, and nothing is ever
// printed (descriptor 1 is an input here). Source: the qmail-qmqpc manual page.

import { concatBytes } from '../core/bytes/bytes.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { readDescriptor } from '../host/read-descriptor.ts';
import { type Environment, openHistory, readQmqpServers, submitByQmqp } from './qmqp-submit.ts';
import { spillIfNeeded } from './spill.ts';

/** Runs the program on this process's descriptors 0 and 1; resolves with its exit code. */
export async function runQmqpc({ home, env }: { home: string; env: Environment }): Promise<number> {
  const servers = readQmqpServers({ home, env });
  if ('exit' in servers) return servers.exit;
  try {
    const message = readDescriptor(0);
    const pieces = message && readDescriptor(1);
    if (pieces === undefined || message === undefined) return QUEUE_EXIT.readError;
    const envelope = concatBytes(pieces);
    const history = openHistory({ servers, home, env });
    const { exit, isUnknown, server } = await submitByQmqp({ home, servers, message, envelope, ...history });
    return spillIfNeeded({ home, exit, isUnknown, server, message, envelope }).exit;
  } catch (error) {
    // What V8 throws when it cannot allocate so large an array.
    return error instanceof RangeError ? QUEUE_EXIT.noMemory : QUEUE_EXIT.bug;
  }
}
