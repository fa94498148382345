// Things that are on their way until a time each: handed over in their order, none early.

import type { Clock } from '../../src/host/clock.ts';

/** Hands things over when their time has come. */
export class ArrivalQueue<T> {
  readonly #clock: Clock;
  readonly #deliver: (thing: T) => void;
  readonly #waiting: { readonly atMs: number; readonly thing: T }[] = [];

  constructor(clock: Clock, deliver: (thing: T) => void) {
    this.#clock = clock;
    this.#deliver = deliver;
  }

  /** @param atMs steady time, not before that of the thing put in before */
  add(atMs: number, thing: T): void {
    this.#waiting.push({ atMs, thing });
    if (this.#waiting.length === 1) this.#waitForFirst();
  }

  #waitForFirst(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#clock.after(first.atMs - this.#clock.steadyMs(), () => {
      // A timer may be a little early.
      if (this.#clock.steadyMs() < first.atMs) return this.#waitForFirst();
      this.#waiting.shift();
      this.#deliver(first.thing);
      this.#waitForFirst();
    });
  }
}
