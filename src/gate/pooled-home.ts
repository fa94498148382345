// What all messages have in common that one process submits for an installation: its settings, who may go next, and which
// servers can be reached. Invariant: what somebody changes in the installation counts a second later at the latest.

import { chooseQueueProgram, type QueueProgramOptions } from '../client/open-queue-program.ts';
import { type Environment, type QmqpServers, readQmqpServers } from '../client/qmqp-submit.ts';
import type { Clock } from '../host/clock.ts';
import { readControlNumber } from '../host/control.ts';
import { fileVersion } from '../host/file-version.ts';
import { glance } from '../host/glance.ts';
import { ServerMemory, type ServerMemoryOptions } from './server-memory.ts';
import { Turns } from './turns.ts';

/** Submissions at a time, unless control/concurrencyqmqp says another number. */
const CONCURRENCY = 20;
const WAITING_MAX = 1000;
/** With the time limits of a submission this is below the ten minutes that a client waits for the answer to its message. */
const WAIT_MS_MAX = 60_000;

/** Bounds of the waiting, and what there is to work with. */
export interface PooledHomeOptions {
  readonly clock: Clock;
  /** Messages that may wait while as many as allowed are being submitted. */
  readonly waitingMax?: number | undefined;
  readonly waitMsMax?: number | undefined;
  /** Told when a server cannot be reached any more, and when it can be again. */
  readonly onServerChange?: ServerMemoryOptions['onChange'];
}

/** What control files say. */
interface HomeSettings {
  readonly servers: QmqpServers;
  readonly concurrency: number;
}

/** See the head of this file. */
export class PooledHome {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly memory: ServerMemory;
  /** The installation. */
  readonly path: string;
  readonly #currentSettings: () => HomeSettings;
  #settings: HomeSettings | undefined;
  #version = '';
  #isOwnProgram: (() => boolean) | undefined;

  constructor(home: string, { clock, waitingMax, waitMsMax, onServerChange }: PooledHomeOptions) {
    this.path = home;
    this.clock = clock;
    this.#currentSettings = glance(clock, () => this.#look());
    this.turns = new Turns({
      clock,
      waitingMax: waitingMax ?? WAITING_MAX,
      waitMsMax: waitMsMax ?? WAIT_MS_MAX,
    });
    this.memory = new ServerMemory({ clock, onChange: onServerChange });
  }

  /** Whether messages go to our own QMQP client, as found out not long ago. */
  isOwnProgram(program: QueueProgramOptions): boolean {
    if (program.env['QMAILQUEUE'] !== undefined) return false;
    this.#isOwnProgram ??= glance(this.clock, () => chooseQueueProgram(program) === undefined);
    return this.#isOwnProgram();
  }

  /** What the control files say; they are read again soon after one of them has changed. */
  settings(env: Environment): HomeSettings {
    const settings = this.#currentSettings();
    const chosen = env['QMQPSERVERS'] ?? '';
    return chosen === '' ? settings : { ...settings, servers: readQmqpServers({ home: this.path, env }) };
  }

  #look(): HomeSettings {
    const version = this.#findVersion();
    if (this.#settings === undefined || version === undefined || version !== this.#version) {
      this.#settings = {
        servers: readQmqpServers({ home: this.path, env: {} }),
        concurrency: this.#concurrency(),
      };
      this.#version = version ?? '';
    }
    return this.#settings;
  }

  #findVersion(): string | undefined {
    try {
      const names = ['me', 'qmqpservers', 'concurrencyqmqp'];
      return names.map((name) => fileVersion(`${this.path}/control/${name}`)).join();
    } catch {
      return undefined;
    }
  }

  #concurrency(): number {
    try {
      return Math.max(readControlNumber(this.path, 'concurrencyqmqp', CONCURRENCY), 1);
    } catch {
      return CONCURRENCY;
    }
  }
}
