// One round of attempts to hand a request to one of several QMQP servers: the first that is connected gets it; the next one
// does if that one cannot have accepted the message. Invariant: the bytes of the message go to one server at a time, and to no
// other once one has them all.

import type { ServerAddress } from '../core/format/server-list.ts';
import { formatPlace } from '../core/format/server-list-place.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import { type Connected, ConnectRace } from './connect-race.ts';
import type { ServerHistory } from './dead-servers.ts';
import { type AttemptResult, converse } from './qmqp-conversation.ts';
import { compressRequest } from './qmqp-gzip.ts';
import { secureConnection } from './qmqp-tls.ts';
import type { ReadyStream } from './ready-stream.ts';
import { type RequestPiece, readPieces } from './request-source.ts';
import type { ResolveHost } from './resolve-host.ts';

/** What attempts need beside servers and request. */
export interface AttemptTools {
  readonly clock: Clock;
  /** The installation, where the default files for TLS are. */
  readonly home: string;
  readonly history?: ServerHistory | undefined;
  readonly resolve?: ResolveHost | undefined;
  /** Told of the server that is to get the request; false keeps everything from being sent, to it and to others. */
  readonly beforeRequest?: ((server: ServerAddress) => boolean) | undefined;
}

/** How a round ended; `server` is the one that has or may have the message. */
export interface RoundResult extends AttemptResult {
  readonly server?: ServerAddress;
}

const SECURE_MS = 10_000;

/**
 * Offers the request to the servers. Never rejects. If all fail the result is that of the last in the list, as if they had been
 * tried one after the other; configuration trouble if the list is empty.
 */
export async function offerRequest(
  servers: readonly ServerAddress[],
  request: readonly RequestPiece[],
  tools: AttemptTools,
): Promise<RoundResult> {
  const { clock, history, resolve } = tools;
  const failures = new Map<ServerAddress, AttemptResult>();
  const fail = (server: ServerAddress, result: AttemptResult) => {
    failures.set(server, result);
    if (result.isSilent) history?.silent(server);
  };
  const race = new ConnectRace(history?.order(servers) ?? servers, {
    clock,
    resolve,
    onFailure: fail,
    onSilence: (server) => history?.silent(server),
  });
  for (;;) {
    const connected = await race.next();
    if (connected === 'no-socket') return { exit: QUEUE_EXIT.network, final: true };
    if (connected === 'failed') return lastOf(servers, failures);
    const result = await tryConnection(connected, request, tools);
    if (!result.isSilent) history?.reached(connected.server);
    if (result.final) {
      if (result.isSilent) history?.silent(connected.server);
      return { ...result, server: connected.server };
    }
    fail(connected.server, result);
  }
}

/** Makes one attempt at one server. Never rejects. @param request what to send, in order */
export function tryServer(
  server: ServerAddress,
  request: readonly RequestPiece[],
  tools: AttemptTools,
): Promise<RoundResult> {
  return offerRequest([server], request, tools);
}

/** The same as {@link offerRequest} by `attempt`, one server after the other: for who wants a say about each attempt. */
export async function offerInTurn(
  servers: readonly ServerAddress[],
  request: readonly RequestPiece[],
  tools: AttemptTools & { readonly attempt: typeof tryServer },
): Promise<RoundResult> {
  const failures = new Map<ServerAddress, AttemptResult>();
  for (const server of servers) {
    const result = await tools.attempt(server, request, tools);
    if (result.final) return { ...result, server };
    failures.set(server, result);
  }
  return lastOf(servers, failures);
}

function lastOf(
  servers: readonly ServerAddress[],
  failures: ReadonlyMap<ServerAddress, AttemptResult>,
): AttemptResult {
  const results = servers.flatMap((server) => failures.get(server) ?? []);
  const last = results.at(-1);
  if (last === undefined) return { exit: QUEUE_EXIT.configuration, final: true };
  return { ...last, reason: results.flatMap(({ reason }) => reason ?? []).join('; ') };
}

async function tryConnection(
  connected: Connected,
  request: readonly RequestPiece[],
  { clock, home, beforeRequest }: AttemptTools,
): Promise<AttemptResult> {
  const { server, socket } = connected;
  const ready = server.tls === undefined ? { stream: socket } : await secure(connected, home, clock);
  if ('exit' in ready) return ready;
  if (beforeRequest?.(server) === false) {
    socket.destroy();
    return { exit: QUEUE_EXIT.readError, final: true };
  }
  const pieces = readPieces(request);
  const result = await converse(ready, server.gzip ? compressRequest(pieces) : pieces, clock);
  return result.reason === undefined ? result : { ...result, reason: told(server, result.reason) };
}

/** Nothing has been sent that far, so any trouble with TLS is one more server that cannot be reached. */
async function secure(
  { server, socket }: Connected,
  home: string,
  clock: Clock,
): Promise<ReadyStream | AttemptResult> {
  let isLate = false;
  const closed = new Promise<never>((_, reject) => {
    socket.once('close', () => reject(new Error('the connection was closed')));
  });
  const cancelTimer = clock.after(SECURE_MS, () => {
    isLate = true;
    socket.destroy();
  });
  try {
    return await Promise.race([secureConnection(socket, server, home), closed]);
  } catch (error) {
    socket.destroy();
    const reason = told(server, isLate ? 'no TLS in time' : reasonOf(error));
    return { exit: QUEUE_EXIT.connectionLost, final: false, isSilent: isLate, reason };
  } finally {
    cancelTimer();
  }
}

function told(server: ServerAddress, reason: string): string {
  return `${formatPlace(server)}: ${reason}`;
}
