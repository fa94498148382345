// Who may go next: so many at a time, others wait in the order in which they came. Invariant: as many as the limit allows run,
// waiting ones are bounded in number and time, and nobody who has given up takes a turn.

import type { Clock } from '../host/clock.ts';

/** Bounds of the waiting. */
export interface TurnsOptions {
  readonly waitingMax: number;
  readonly waitMsMax: number;
  readonly clock: Clock;
}

/** One who waits for a turn. */
export interface Turn {
  /** How many may run at a time, from now on. */
  readonly limit: number;
  /** Whether nobody is interested any more. */
  readonly isGone: () => boolean;
}

/** The end of a turn, to be called once; or why there was none: too many wait already, it took too long, nobody is interested. */
export type TurnAnswer = (() => void) | 'full' | 'late' | 'gone';

interface Waiting {
  readonly isGone: () => boolean;
  readonly answer: (answer: TurnAnswer) => void;
}

/** See the head of this file. */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #waiting = new Set<Waiting>();
  #running = 0;
  #limit = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Resolves when it is that one's turn, or when there will be none. */
  take({ limit, isGone }: Turn): Promise<TurnAnswer> {
    this.#limit = limit;
    this.#startNext();
    const { waitingMax, waitMsMax, clock } = this.#options;
    if (this.#waiting.size === 0 && this.#running < limit) return Promise.resolve(this.#start());
    if (this.#waiting.size >= waitingMax) this.#dropGone();
    if (this.#waiting.size >= waitingMax) return Promise.resolve('full');
    return new Promise((resolve) => {
      const answer = (given: TurnAnswer) => {
        callOff();
        this.#waiting.delete(waiting);
        resolve(given);
      };
      const callOff = clock.after(waitMsMax, () => answer('late'));
      const waiting = { isGone, answer };
      this.#waiting.add(waiting);
    });
  }

  #start(): () => void {
    this.#running++;
    return () => {
      this.#running--;
      this.#startNext();
    };
  }

  #startNext(): void {
    for (const { isGone, answer } of this.#waiting) {
      if (this.#running >= this.#limit) return;
      answer(isGone() ? 'gone' : this.#start());
    }
  }

  #dropGone(): void {
    for (const { isGone, answer } of this.#waiting) if (isGone()) answer('gone');
  }
}
