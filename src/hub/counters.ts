// What the hub counts since its start, in one place: what it logs is counted by the events' names, anything else by add().
// Invariant: every counter is there from the first moment, at zero, so that whoever watches them sees the first one too.

import type { Facts, Log } from '../host/log.ts';

/**
 * All counters. `accepted`, `resubmissions`, `refusedTemporary`, `refusedPermanent`, `bounced`, `keptBounced` and `resent`
 * count messages, `backPressure` those of the refusals that were for want of disk or memory; `delivered`, `deferred` and
 * `failed` count recipients of attempts, so that one recipient may be deferred often.
 */
export const COUNTERS = [
  'accepted',
  'resubmissions',
  'refusedTemporary',
  'refusedPermanent',
  'backPressure',
  'delivered',
  'deferred',
  'failed',
  'bounced',
  'keptBounced',
  'resent',
] as const;

/** The name of a counter. */
export type Counter = (typeof COUNTERS)[number];

const BY_EVENT: Readonly<Record<string, Counter>> = {
  accepted: 'accepted',
  'qmqp.resubmission': 'resubmissions',
  'delivery.success': 'delivered',
  'delivery.deferral': 'deferred',
  'delivery.failure': 'failed',
  bounce: 'bounced',
  resent: 'resent',
};

/** See the head of this file. */
export class Counters {
  readonly #values = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<Counter, number>;

  /** Counts something that is no event of the log. */
  add(name: Counter, count = 1): void {
    this.#values[name] += count;
  }

  /** All values. */
  read(): Readonly<Record<Counter, number>> {
    return { ...this.#values };
  }

  /** A log that counts, and passes on. */
  countIn(log: Log): Log {
    return {
      write: (event, facts) => {
        this.#count(event, facts);
        log.write(event, facts);
      },
    };
  }

  #count(event: string, facts: Facts): void {
    const name = BY_EVENT[event];
    if (name !== undefined) this.#values[name]++;
    // The reply as the client got it: its letter in QMQP, its code in SMTP.
    else if (event === 'refused')
      this.#values[/^[D5]/.test(String(facts['reply'])) ? 'refusedPermanent' : 'refusedTemporary']++;
  }
}
