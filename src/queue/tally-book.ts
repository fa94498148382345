// Counts recipients for Queue.tally().

import type { Tally } from './queue.ts';

/** See {@link Tally}; what is queued is not kept here. */
export class TallyBook {
  #atStart = 0;
  #accepted = 0;
  #delivered = 0;
  #failed = 0;
  #removed = 0;

  /** Adds to the counters that are named. */
  count({ atStart = 0, accepted = 0, delivered = 0, failed = 0, removed = 0 }: Partial<Tally>): void {
    this.#atStart += atStart;
    this.#accepted += accepted;
    this.#delivered += delivered;
    this.#failed += failed;
    this.#removed += removed;
  }

  /** All counters. @param queued what the store holds */
  read(queued: number): Tally {
    return {
      atStart: this.#atStart,
      accepted: this.#accepted,
      delivered: this.#delivered,
      failed: this.#failed,
      removed: this.#removed,
      queued,
    };
  }
}
