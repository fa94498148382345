// Hands one message to the first QMQP server that takes it, as qmail-qmqpc does; the result is an exit code of a queue
// program. Used by the program itself and, without a second process, by qmail-inject and qmail-qmqpd.
// The servers are read first and apart, because trouble with them comes before trouble with message or envelope.
// Source: the qmail-qmqpc manual page.

import { parseQueueEnvelope } from '../core/format/queue-envelope.ts';
import { parseServerEntries, parseServerVariable, type ServerAddress } from '../core/format/server-list.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { encodeQmqpRequest } from '../core/protocol/qmqp/client-session.ts';
import { type Clock, SYSTEM_CLOCK } from '../host/clock.ts';
import { readControlLine, readControlList } from '../host/control.ts';
import { canEnter } from '../host/invocation.ts';
import { type RequestPiece, tryServer } from './qmqp-conversation.ts';

/** An environment, as `process.env` is one. */
export interface Environment {
  readonly [name: string]: string | undefined;
}

/** The usable servers in order (there may be none), or the exit code if they cannot be read. */
export type QmqpServers = { readonly servers: readonly ServerAddress[] } | { readonly exit: number };

/** Reads `$QMQPSERVERS`, if that is set and not empty, else HOME/control/qmqpservers. */
export function readQmqpServers({ home, env }: { home: string; env: Environment }): QmqpServers {
  if (!canEnter(home)) return { exit: QUEUE_EXIT.home };
  try {
    // Not used for anything, but an installation whose `me` cannot be read is broken, and the original says so.
    readControlLine(home, 'me');
    const chosen = env['QMQPSERVERS'];
    if (chosen !== undefined && chosen !== '') return { servers: parseServerVariable(Buffer.from(chosen)) };
    const entries = readControlList(home, 'qmqpservers');
    return entries === undefined
      ? { exit: QUEUE_EXIT.configuration }
      : { servers: parseServerEntries(entries) };
  } catch {
    return { exit: QUEUE_EXIT.configuration };
  }
}

/** A message to be submitted. */
export interface QmqpSubmission {
  readonly servers: QmqpServers;
  /** The message in any number of pieces. */
  readonly message: readonly RequestPiece[];
  /** The envelope as queue programs get it on descriptor 1. */
  readonly envelope: Uint8Array;
  readonly clock?: Clock;
  /** Makes one attempt, in place of {@link tryServer}. */
  readonly attempt?: typeof tryServer;
}

/**
 * Tries the servers in order and resolves with the exit code of a queue program: 0 accepted, 31 refused, 71 refused for
 * now; 72, 73 or 74 for the trouble with the server tried last; 55, 56, 61 and 91 for trouble on this side. Never rejects.
 */
export async function submitByQmqp(submission: QmqpSubmission): Promise<number> {
  const { servers, message, clock = SYSTEM_CLOCK, attempt = tryServer } = submission;
  if ('exit' in servers) return servers.exit;
  const envelope = parseQueueEnvelope(submission.envelope);
  if (envelope === undefined) return QUEUE_EXIT.envelopeFormat;
  const request = encodeQmqpRequest(message, envelope);
  let exit: number = QUEUE_EXIT.configuration;
  for (const server of servers.servers) {
    const result = await attempt(server, request, clock);
    exit = result.exit;
    if (result.final) break;
  }
  return exit;
}
