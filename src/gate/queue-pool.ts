// The queue program of a gateway that serves many connections in one process, when it is our own QMQP client: messages are
// spooled until they are complete and then submitted, a few at a time, others waiting in order for a while.
// Invariant: acceptance is said only when a server has said so, nothing is kept after the answer, and what does not fit into
// the bounds is refused for now at once. Any other queue program is started as always.

import {
  chooseQueueProgram,
  openQueueProgram,
  type QueueProgramOptions,
} from '../client/open-queue-program.ts';
import { type Environment, type QmqpServers, readQmqpServers, submitByQmqp } from '../client/qmqp-submit.ts';
import type { QueueProgram } from '../client/queue-program.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { QUEUE_EXIT, type QueueResult } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import { readControlNumber } from '../host/control.ts';
import { fileVersion } from '../host/file-version.ts';
import { MessageSpool, SpooledMessage } from './message-spool.ts';
import { ServerMemory } from './server-memory.ts';
import { type TurnAnswer, Turns } from './turns.ts';

/** Bounds of a pool, and what it works with. */
export interface QueuePoolOptions {
  readonly clock: Clock;
  /** Messages that may wait while as many as allowed are being submitted. */
  readonly waitingMax?: number | undefined;
  readonly waitMsMax?: number | undefined;
  readonly spool?: MessageSpool | undefined;
  /** Told when a server cannot be reached any more, and when it can be again. */
  readonly onServerChange?: ((server: ServerAddress, isReachable: boolean) => void) | undefined;
}

/** A pool; one is enough for a process. */
export interface QueuePool {
  /**
   * Opens the queue program for one message, as {@link openQueueProgram} does.
   * @param isGone whether the client has left; then the message is not submitted any more, since its client will try again
   */
  openQueue(options: QueueProgramOptions, isGone?: () => boolean): QueueProgram;
}

/** Submissions at a time, unless control/concurrencyqmqp says another number. */
export const QMQP_CONCURRENCY = 20;
const WAITING_MAX = 1000;
/** With the time limits of a submission this is below the ten minutes that a client waits for the answer to its message. */
const WAIT_MS_MAX = 60_000;

/** What does not go through turns has these results. */
const REFUSALS: { readonly [why in Exclude<TurnAnswer, () => void>]: Omit<QueueResult, 'pid'> } = {
  full: { exit: 82, writeFailed: false, customText: 'Ztoo many messages wait for a mail server (#4.3.2)' },
  late: { exit: 82, writeFailed: false, customText: 'Zwaited too long for a mail server (#4.3.2)' },
  gone: { exit: QUEUE_EXIT.timeout, writeFailed: false },
};

/** Makes a pool, which holds nothing open while nothing is submitted. */
export function createQueuePool(options: QueuePoolOptions): QueuePool {
  const spool = options.spool ?? new MessageSpool();
  const homes = new Map<string, PooledHome>();
  return {
    openQueue(program, isGone = () => false) {
      if (chooseQueueProgram(program) !== undefined) return openQueueProgram(program);
      let home = homes.get(program.home);
      if (home === undefined) {
        home = new PooledHome(program.home, options);
        homes.set(program.home, home);
      }
      return new PooledQueueProgram({ home, spool, isGone, env: program.env });
    },
  };
}

interface HomeSettings {
  readonly servers: QmqpServers;
  readonly concurrency: number;
}

/** What submissions of one installation have in common. */
class PooledHome {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly memory: ServerMemory;
  readonly #home: string;
  #settings: HomeSettings | undefined;
  #version = '';

  constructor(home: string, { clock, waitingMax, waitMsMax, onServerChange }: QueuePoolOptions) {
    this.#home = home;
    this.clock = clock;
    this.turns = new Turns({
      clock,
      waitingMax: waitingMax ?? WAITING_MAX,
      waitMsMax: waitMsMax ?? WAIT_MS_MAX,
    });
    this.memory = new ServerMemory({ clock, onChange: onServerChange });
  }

  /** What the control files say; they are read again when one of them has changed. */
  settings(env: Environment): HomeSettings {
    const version = this.#findVersion();
    if (this.#settings === undefined || version === undefined || version !== this.#version) {
      this.#settings = {
        servers: readQmqpServers({ home: this.#home, env: {} }),
        concurrency: this.#concurrency(),
      };
      this.#version = version ?? '';
    }
    const chosen = env['QMQPSERVERS'] ?? '';
    if (chosen === '') return this.#settings;
    return { ...this.#settings, servers: readQmqpServers({ home: this.#home, env }) };
  }

  #findVersion(): string | undefined {
    try {
      const names = ['me', 'qmqpservers', 'concurrencyqmqp'];
      return names.map((name) => fileVersion(`${this.#home}/control/${name}`)).join();
    } catch {
      return undefined;
    }
  }

  #concurrency(): number {
    try {
      return Math.max(readControlNumber(this.#home, 'concurrencyqmqp', QMQP_CONCURRENCY), 1);
    } catch {
      return QMQP_CONCURRENCY;
    }
  }
}

interface PooledOptions {
  readonly home: PooledHome;
  readonly spool: MessageSpool;
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
    const { spool } = this.#options;
    const hasRoom = spool.take(envelope.length);
    try {
      const result = hasRoom ? await this.#submit(envelope) : exitOf(QUEUE_EXIT.noMemory);
      return { ...result, pid: process.pid };
    } finally {
      if (hasRoom) spool.give(envelope.length);
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
      const exit = await submitByQmqp({
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
