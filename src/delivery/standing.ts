// What is remembered of destinations, so that the ones that do not answer, or take their time after it, cannot keep the
// others waiting: who finished a delivery last time, who was slow, who did not answer and until when it is left alone. In
// memory only: after a restart every destination is new, and the first attempts tell again which are dead.
// Source: the qmail-tcpto manual page has the idea; there a host is left alone for one to two hours after two time-outs.

/** Took a delivery in good time; never did so; did not answer last time; answers, and then takes long. */
export type Standing = 'good' | 'new' | 'silent' | 'slow';

interface Memory {
  readonly standing: Standing;
  /** Attempts in a row that were cut short. */
  readonly cuts: number;
  /** Attempts in a row that got no answer. */
  readonly failures: number;
  /** Until when it is not tried at all, in the time of whoever asks. */
  readonly untilMs: number;
}

const REMEMBERED_MAX = 100_000;
const BACK_OFF_MS = 60_000;
const BACK_OFF_MAX_MS = 3_600_000;
const PATIENCE_MS = 500;
const CUTS_MAX = 2;

const GOOD: Memory = { standing: 'good', cuts: 0, failures: 0, untilMs: 0 };
const SLOW: Memory = { ...GOOD, standing: 'slow' };
const CUT: Memory = { ...GOOD, standing: 'silent' };

/** Standings by name of the destination (or address of a host). */
export class Standings {
  /** Least recently changed first. */
  readonly #memories = new Map<string, Memory>();

  of(key: string): Standing {
    return this.#memories.get(key)?.standing ?? 'new';
  }

  /** Whether it is to be left alone now. */
  isLeftAlone(key: string, nowMs: number): boolean {
    return (this.#memories.get(key)?.untilMs ?? 0) > nowMs;
  }

  /** How long an attempt may stay without answer while others wait: half a second, and four times that after each cut. */
  patienceMs(key: string): number {
    return PATIENCE_MS * 4 ** (this.#memories.get(key)?.cuts ?? 0);
  }

  /** It answers, so it is not silent any more; whether it takes anything is not known yet. @returns whether that is news */
  answered(key: string): boolean {
    return this.of(key) === 'silent' && this.#memories.delete(key);
  }

  /** A delivery has ended with an answer, or is under way for so long that it counts as slow. */
  took(key: string, how: 'good' | 'slow'): void {
    if (this.of(key) !== how) this.#set(key, how === 'good' ? GOOD : SLOW);
  }

  /**
   * No answer in the time that an attempt may take: left alone for a minute, twice that after each further one.
   * @param backOffMaxMs at most so long; 0 if it says nothing about the host
   */
  failed(key: string, nowMs: number, backOffMaxMs = BACK_OFF_MAX_MS): void {
    const { cuts, failures } = this.#memories.get(key) ?? CUT;
    const backOffMs = Math.min(BACK_OFF_MS * 2 ** failures, backOffMaxMs);
    this.#set(key, {
      standing: 'silent',
      cuts,
      failures: failures + (backOffMaxMs > 0 ? 1 : 0),
      untilMs: nowMs + backOffMs,
    });
  }

  /** An attempt was cut short. @returns whether that is to count as no answer, since it was not the first time */
  cut(key: string): boolean {
    const memory = this.#memories.get(key) ?? CUT;
    const cuts = memory.cuts + 1;
    this.#set(key, { ...memory, standing: 'silent', cuts });
    return cuts > CUTS_MAX;
  }

  #set(key: string, memory: Memory): void {
    this.#memories.delete(key);
    this.#memories.set(key, memory);
    if (this.#memories.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#memories.keys()) {
      this.#memories.delete(oldest);
      return;
    }
  }
}
