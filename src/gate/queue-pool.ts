// The queue program of a gateway that serves many connections in one process, when it is our own QMQP client: messages are
// spooled until they are complete and then submitted, a few at a time, others waiting in order for a while.
// Invariant: acceptance is said only when a server has said so, nothing is kept after the answer, and what does not fit into
// the bounds is refused for now at once. Any other queue program is started as always.

import { openQueueProgram, type QueueProgramOptions } from '../client/open-queue-program.ts';
import { type Environment, submitByQmqp } from '../client/qmqp-submit.ts';
import type { QueueProgram } from '../client/queue-program.ts';
import { QUEUE_EXIT, type QueueResult } from '../core/policy/outcome.ts';
import { MemoryBudget } from './memory-budget.ts';
import { MessageSpool, SpooledMessage } from './message-spool.ts';
import { PooledHome, type PooledHomeOptions } from './pooled-home.ts';
import type { TurnAnswer } from './turns.ts';

/** Bounds of a pool, and what it works with. */
export interface QueuePoolOptions extends PooledHomeOptions {
  readonly spool?: MessageSpool | undefined;
  /** Bytes of all envelopes that wait or are under way; one that finds no room is refused for now. */
  readonly envelopeBytesMax?: number | undefined;
}

const ENVELOPE_BYTES_MAX = 64 * 1024 * 1024;

/** A pool; one is enough for a process. */
export interface QueuePool {
  /**
   * Opens the queue program for one message, as {@link openQueueProgram} does.
   * @param isGone whether the client has left; then the message is not submitted any more, since its client will try again
   */
  openQueue(options: QueueProgramOptions, isGone?: () => boolean): QueueProgram;
}

/** What does not go through turns has these results. */
const REFUSALS: { readonly [why in Exclude<TurnAnswer, () => void>]: Omit<QueueResult, 'pid'> } = {
  full: { exit: 82, writeFailed: false, customText: 'Ztoo many messages wait for a mail server (#4.3.2)' },
  late: { exit: 82, writeFailed: false, customText: 'Zwaited too long for a mail server (#4.3.2)' },
  gone: { exit: QUEUE_EXIT.timeout, writeFailed: false },
};

/** Makes a pool, which holds nothing open while nothing is submitted. */
export function createQueuePool(options: QueuePoolOptions): QueuePool {
  const spool = options.spool ?? new MessageSpool();
  const envelopes = new MemoryBudget(options.envelopeBytesMax ?? ENVELOPE_BYTES_MAX);
  const homes = new Map<string, PooledHome>();
  return {
    openQueue(program, isGone = () => false) {
      let home = homes.get(program.home);
      if (home === undefined) {
        home = new PooledHome(program.home, options);
        homes.set(program.home, home);
      }
      if (!home.isOwnProgram(program)) return openQueueProgram(program);
      return new PooledQueueProgram({ home, spool, envelopes, isGone, env: program.env });
    },
  };
}

interface PooledOptions {
  readonly home: PooledHome;
  readonly spool: MessageSpool;
  readonly envelopes: MemoryBudget;
  readonly env: Environment;
  readonly isGone: () => boolean;
}

class PooledQueueProgram implements QueueProgram {
  readonly #options: PooledOptions;
  readonly #message: SpooledMessage;

  constructor(options: PooledOptions) {
    this.#options = options;
    this.#message = new SpooledMessage(options.spool);
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    return this.#message.write(bytes);
  }

  async finish(envelope: Uint8Array): Promise<QueueResult> {
    const { envelopes } = this.#options;
    const hasRoom = envelopes.take(envelope.length);
    try {
      const result = hasRoom ? await this.#submit(envelope) : exitOf(QUEUE_EXIT.noMemory);
      return { ...result, pid: process.pid };
    } finally {
      if (hasRoom) envelopes.give(envelope.length);
      await this.#message.discard();
    }
  }

  abort(): Promise<void> {
    return this.#message.discard();
  }

  async #submit(envelope: Uint8Array): Promise<Omit<QueueResult, 'pid'>> {
    const { home, env, isGone } = this.#options;
    const { servers, concurrency } = home.settings(env);
    if ('exit' in servers) return exitOf(servers.exit);
    const message = await this.#message.end();
    if (message === undefined) return exitOf(QUEUE_EXIT.writeError);
    const turn = await home.turns.take({ limit: concurrency, isGone });
    if (typeof turn === 'string') return REFUSALS[turn];
    try {
      const { exit } = await submitByQmqp({
        home: home.path,
        servers: { servers: home.memory.order(servers.servers) },
        message: [message],
        envelope,
        clock: home.clock,
        attempt: (...attempt) => home.memory.attempt(...attempt),
      });
      return exitOf(exit);
    } finally {
      turn();
    }
  }
}

function exitOf(exit: number): Omit<QueueResult, 'pid'> {
  return { exit, writeFailed: false };
}
