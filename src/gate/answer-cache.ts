// Answers that hold for a while, by key. Invariant: no more than so many are kept, the oldest go first, and none is given out
// after its time.

import type { Clock } from '../host/clock.ts';

/** See the head of this file. */
export class AnswerCache<Answer> {
  readonly #clock: Pick<Clock, 'steadyMs'>;
  readonly #countMax: number;
  readonly #entries = new Map<string, { readonly answer: Answer; readonly untilMs: number }>();

  /** @param countMax answers that are kept */
  constructor(clock: Pick<Clock, 'steadyMs'>, countMax: number) {
    this.#clock = clock;
    this.#countMax = countMax;
  }

  /** The answer in an object, or undefined if there is none that holds. */
  get(key: string): { readonly answer: Answer } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.untilMs > this.#clock.steadyMs()) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  /** Keeps an answer for so long. */
  set(key: string, answer: Answer, lifeMs: number): void {
    this.#entries.delete(key);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size >= this.#countMax && oldest !== undefined) this.#entries.delete(oldest);
    this.#entries.set(key, { answer, untilMs: this.#clock.steadyMs() + lifeMs });
  }
}
