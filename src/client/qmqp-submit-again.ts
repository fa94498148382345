// What to do when a connection is cut between the last byte of a request and the reply: the server may have the message or not.
// To a hub that recognises what it has already, the same request can be sent again. Invariant: it is sent to lines of the
// same hub only, byte for byte as before, and only if the message has a Message-ID by which the hub goes.
// Differs: qmail-qmqpc always gives up there, and who tries again then may send the message twice.

import type { ServerAddress } from '../core/format/server-list.ts';
import { formatPlace } from '../core/format/server-list-place.ts';
import { MessageIdProbe } from '../core/message/message-id-probe.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import type { RoundResult } from './qmqp-submit-attempts.ts';
import type { RequestPiece } from './request-source.ts';

/** How long to wait before each further round: at once, for a cut line; later, for a hub that starts again. */
const PAUSES_MS = [0, 500, 1500, 3000, 5000];
/** No round begins later than this after the cut. */
const AGAIN_MS = 30_000;

const ANSWERS: readonly number[] = [QUEUE_EXIT.accepted, QUEUE_EXIT.refused, QUEUE_EXIT.serverTemporary];
const READ_SIZE = 65_536;

/** Whether a hub would recognise the message when it comes again. */
export async function isRecognised(message: readonly RequestPiece[]): Promise<boolean> {
  const probe = new MessageIdProbe();
  for (const piece of message) {
    for (let from = 0; from < piece.length && !probe.isDone; from += READ_SIZE) {
      const length = Math.min(READ_SIZE, piece.length - from);
      const isHere = piece instanceof Uint8Array;
      const bytes = isHere
        ? piece.subarray(from, from + length)
        : await piece.read(from, length).catch(() => undefined);
      if (bytes === undefined) return false;
      probe.receive(bytes);
    }
  }
  probe.receiveEnd();
  return probe.isUnique;
}

/** Offers the request again where it may be, until there is an answer; else the result is what it was. */
export async function offerAgain(
  lost: RoundResult,
  servers: readonly ServerAddress[],
  { clock, offer }: { clock: Clock; offer: (to: readonly ServerAddress[]) => Promise<RoundResult> },
): Promise<RoundResult> {
  const { server } = lost;
  const hub = server && hubOf(server);
  if (server === undefined || hub === undefined) return lost;
  const at = servers.indexOf(server);
  // The other lines of the hub first: the one that was cut may be a bad line.
  const lines = [...servers.slice(at + 1), ...servers.slice(0, at + 1)].filter((line) => hubOf(line) === hub);
  const sinceMs = clock.steadyMs();
  for (const pauseMs of PAUSES_MS) {
    if (clock.steadyMs() + pauseMs - sinceMs > AGAIN_MS) break;
    if (pauseMs > 0) await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
    const again = await offer(lines);
    // Refused for now says nothing about the first time.
    if (ANSWERS.includes(again.exit))
      return { ...again, isUnknown: again.exit === QUEUE_EXIT.serverTemporary };
  }
  return lost;
}

/** What two lines of the same hub have in common; undefined without `hub`. */
export function hubOf(server: ServerAddress): string | undefined {
  return server.hub === '' ? formatPlace(server) : server.hub && `hub=${server.hub}`;
}
