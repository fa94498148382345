// Which QMQP servers could not be reached lately, so that not every message waits for the same one to time out.
// Invariant: a server is given up for a time only, by messages that have another one to go to; while it may still be down, one
// attempt at a time finds out whether it is back, and the others have the answer of the last one at once.

import type { AttemptResult } from '../client/qmqp-conversation.ts';
import { type AttemptTools, type RoundResult, tryServer } from '../client/qmqp-submit-attempts.ts';
import type { RequestPiece } from '../client/request-source.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { formatPlace } from '../core/format/server-list-place.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';

/** What to go by, and whom to tell. */
export interface ServerMemoryOptions {
  readonly clock: Clock;
  /** Told when a server cannot be reached any more, and when it can be again. */
  readonly onChange?: ((server: ServerAddress, isReachable: boolean) => void) | undefined;
  /** Makes one attempt; {@link tryServer} if not given. */
  readonly attempt?: typeof tryServer | undefined;
}

/** How long a server that could not be reached comes after all others. */
const AVOID_MS = 30_000;

interface Lost {
  /** The exit code of the last attempt. */
  exit: number;
  untilMs: number;
  isBeingTried: boolean;
}

/** See the head of this file. */
export class ServerMemory {
  readonly #options: ServerMemoryOptions;
  readonly #lost = new Map<string, Lost>();

  constructor(options: ServerMemoryOptions) {
    this.#options = options;
  }

  /** The servers in the order in which to try them: as given, but for those that were lost a short while ago. */
  order(servers: readonly ServerAddress[]): ServerAddress[] {
    const nowMs = this.#options.clock.steadyMs();
    const isAvoided = (server: ServerAddress) =>
      (this.#lost.get(formatPlace(server))?.untilMs ?? nowMs) > nowMs;
    return [
      ...servers.filter((server) => !isAvoided(server)),
      ...servers.filter((server) => isAvoided(server)),
    ];
  }

  /** Makes one attempt, or has its answer from another one. Never rejects. */
  async attempt(
    server: ServerAddress,
    request: readonly RequestPiece[],
    tools: AttemptTools,
  ): Promise<RoundResult> {
    const lost = this.#lost.get(formatPlace(server));
    if (lost?.isBeingTried === true) return { exit: lost.exit, final: false };
    if (lost !== undefined) lost.isBeingTried = true;
    const result = await (this.#options.attempt ?? tryServer)(server, request, tools);
    if (lost !== undefined) lost.isBeingTried = false;
    this.#remember(server, result);
    return result;
  }

  #remember(server: ServerAddress, { exit }: AttemptResult): void {
    const { clock, onChange } = this.#options;
    const key = formatPlace(server);
    const lost = this.#lost.get(key);
    if (exit === QUEUE_EXIT.network) return;
    if (exit !== QUEUE_EXIT.connectTimeout && exit !== QUEUE_EXIT.connectRefused) {
      if (this.#lost.delete(key)) onChange?.(server, true);
      return;
    }
    const untilMs = clock.steadyMs() + AVOID_MS;
    if (lost === undefined) {
      this.#lost.set(key, { exit, untilMs, isBeingTried: false });
      onChange?.(server, false);
    } else {
      lost.exit = exit;
      lost.untilMs = untilMs;
    }
  }
}
