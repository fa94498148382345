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
import { openDeadServers, type ServerHistory } from './dead-servers.ts';
import { isRecognised, offerAgain } from './qmqp-submit-again.ts';
import { offerInTurn, offerRequest, type tryServer } from './qmqp-submit-attempts.ts';
import type { RequestPiece } from './request-source.ts';
import type { ResolveHost } from './resolve-host.ts';

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

/** What is remembered of the servers for the user of this process; nothing is read if there is no choice between them. */
export function openHistory({
  servers,
  home,
  env,
}: {
  servers: QmqpServers;
  home: string;
  env: Environment;
}): { history?: ServerHistory } {
  if ('exit' in servers || servers.servers.length < 2) return {};
  return {
    history: openDeadServers({ home, env, nowMs: Date.now(), uid: process.geteuid?.() ?? 0 }),
  };
}

/** A message to be submitted. */
export interface QmqpSubmission {
  /** The installation. */
  readonly home: string;
  readonly servers: QmqpServers;
  /** The message in any number of pieces. */
  readonly message: readonly RequestPiece[];
  /** The envelope as queue programs get it on descriptor 1. */
  readonly envelope: Uint8Array;
  readonly clock?: Clock;
  /** What is known of the servers; it is told what happens. */
  readonly history?: ServerHistory;
  readonly resolve?: ResolveHost;
  /** Told of each server before it gets the first byte; false ends the submission as trouble on this side. */
  readonly beforeRequest?: (server: ServerAddress) => boolean;
  /** Makes one attempt after the other in this way, in place of the race for a connection. */
  readonly attempt?: typeof tryServer;
}

/** What came of a submission. */
export interface SubmissionResult {
  /** Exit code of a queue program. */
  readonly exit: number;
  /** A server may have the message although the exit code is a temporary failure. */
  readonly isUnknown: boolean;
  /** The server that has it, or may have it. */
  readonly server?: ServerAddress | undefined;
  /** What went wrong, for people: one piece per server. */
  readonly reason?: string | undefined;
}

/**
 * Offers the message to the servers: 0 accepted, 31 refused, 71 refused for now; 72, 73 or 74 for the trouble with the last
 * server of the list; 54, 55, 56, 61 and 91 for trouble on this side. Never rejects.
 */
export async function submitByQmqp(submission: QmqpSubmission): Promise<SubmissionResult> {
  const { servers, message, clock = SYSTEM_CLOCK, home, history, resolve, beforeRequest } = submission;
  if ('exit' in servers) return { exit: servers.exit, isUnknown: false };
  const envelope = parseQueueEnvelope(submission.envelope);
  if (envelope === undefined) return { exit: QUEUE_EXIT.envelopeFormat, isUnknown: false };
  const request = encodeQmqpRequest(message, envelope);
  const tools = { clock, home, history, resolve, beforeRequest };
  const offer = (to: readonly ServerAddress[]) =>
    submission.attempt === undefined
      ? offerRequest(to, request, tools)
      : offerInTurn(to, request, { ...tools, attempt: submission.attempt });
  let result = await offer(servers.servers);
  if (result.isUnknown && (await isRecognised(message)))
    result = await offerAgain(result, servers.servers, { clock, offer });
  history?.save();
  const { exit, isUnknown = false, server, reason } = result;
  return { exit, isUnknown, server, reason };
}
