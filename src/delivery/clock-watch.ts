// Sees when somebody sets the clock. Times of attempts are times of day, so after it was set back they would be that much too
// far away; so would those of a process that ran while it was ahead. Invariant: within seconds after either, nothing that is
// not held waits longer than the longest time that there ever is between two attempts.

import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { Queue } from '../queue/queue.ts';

/** What a watch works with. */
export interface ClockWatchSettings {
  readonly clock: Clock;
  readonly log: Log;
  readonly queue: Pick<Queue, 'hasten'>;
  /** The longest time between two attempts at present, ms. */
  readonly longestRetryMs: () => number;
  /** The time of day has changed: timers have to be set anew. */
  readonly onStep: () => void;
}

const LOOK_MS = 10_000;
const LOOKS_PER_HOUR = 360;
/** A clock that is adjusted gradually does not move by so much between two looks. */
const STEP_MIN_MS = 5000;

/** See the head of this file. */
export class ClockWatch {
  readonly #settings: ClockWatchSettings;
  #offsetMs = 0;
  #looks = 0;
  #callOff: (() => void) | undefined;

  constructor(settings: ClockWatchSettings) {
    this.#settings = settings;
  }

  /** Looks now, for what was queued while the clock was ahead, and from now on. */
  start(): void {
    this.#offsetMs = this.#readOffset();
    void this.#bringNearer();
    this.#lookLater();
  }

  stop(): void {
    this.#callOff?.();
  }

  #lookLater(): void {
    this.#callOff = this.#settings.clock.after(LOOK_MS, () => {
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    const offsetMs = this.#readOffset();
    const stepMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    // It may have been ahead for a moment only.
    if (++this.#looks % LOOKS_PER_HOUR === 0) void this.#bringNearer();
    if (Math.abs(stepMs) < STEP_MIN_MS) return;
    this.#settings.log.write('clock.step', { seconds: Math.round(stepMs / 1000) });
    if (stepMs < 0) void this.#bringNearer();
    this.#settings.onStep();
  }

  async #bringNearer(): Promise<void> {
    const { clock, log, queue, longestRetryMs } = this.#settings;
    const nowMs = clock.nowMs();
    try {
      await queue.hasten(nowMs, nowMs + longestRetryMs());
    } catch (error) {
      log.write('delivery.trouble', { what: 'hasten', text: reasonOf(error) });
    }
  }

  #readOffset(): number {
    const { clock } = this.#settings;
    return clock.nowMs() - clock.steadyMs();
  }
}
