// A clock that stands still until it is told to move: tests of everything that waits run in virtual time with it.

import type { Clock } from './clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only through {@link ManualClock.advance}. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();

  /** @param nowMs time to begin with, ms since 1970 */
  constructor(nowMs = 1_000_000_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(delayMs, 0), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets that much time pass: each callback due by then is called at its own time, earliest first. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let timer = this.#earliest(untilMs); timer !== undefined; timer = this.#earliest(untilMs)) {
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.callback();
    }
    this.#nowMs = untilMs;
  }

  /** When the next callback is due, ms since 1970; undefined if none waits. */
  nextTimerMs(): number | undefined {
    return this.#earliest(Number.POSITIVE_INFINITY)?.atMs;
  }

  #earliest(untilMs: number): Timer | undefined {
    let found: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (found === undefined || timer.atMs < found.atMs)) found = timer;
    }
    return found;
  }
}
