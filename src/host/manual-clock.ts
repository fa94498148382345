// A clock that stands still until it is told to move: tests of everything that waits run in virtual time with it.

import type { Clock } from './clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only through {@link ManualClock.advance}. */
export class ManualClock implements Clock {
  #steadyMs = 0;
  /** What the steady time lacks to the time of day. */
  #offsetMs: number;
  readonly #timers = new Set<Timer>();

  /** @param nowMs time to begin with, ms since 1970 */
  constructor(nowMs = 1_000_000_000_000) {
    this.#offsetMs = nowMs;
  }

  nowMs(): number {
    return this.#steadyMs + this.#offsetMs;
  }

  steadyMs(): number {
    return this.#steadyMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#steadyMs + Math.max(delayMs, 0), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets that much time pass: each callback due by then is called at its own time, earliest first. */
  advance(ms: number): void {
    const untilMs = this.#steadyMs + ms;
    for (let timer = this.#earliest(untilMs); timer !== undefined; timer = this.#earliest(untilMs)) {
      this.#timers.delete(timer);
      this.#steadyMs = Math.max(this.#steadyMs, timer.atMs);
      timer.callback();
    }
    this.#steadyMs = untilMs;
  }

  /** Sets the time of day forward or back; nothing is called for that. */
  set(byMs: number): void {
    this.#offsetMs += byMs;
  }

  /** When the next callback is due, ms since 1970; undefined if none waits. */
  nextTimerMs(): number | undefined {
    const timer = this.#earliest(Number.POSITIVE_INFINITY);
    return timer && timer.atMs + this.#offsetMs;
  }

  #earliest(untilMs: number): Timer | undefined {
    let found: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (found === undefined || timer.atMs < found.atMs)) found = timer;
    }
    return found;
  }
}
