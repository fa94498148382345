// One limit on deliveries: how many at a time, how far apart they begin, or none at all for now. A destination has one, and
// so has each group of destinations behind one set of mail exchangers.
// The rate is kept by spacing alone: deliveries of one limit begin at least so far apart, and the first one that long
// after the start of the process. So no window of time has more of them than the rate allows, whenever the process was
// restarted, and nothing needs to be stored.

/** What an administrator may say of a destination or group. */
export interface LimitSettings {
  readonly concurrency: number;
  /** Least time between the beginnings of two deliveries, ms; 0 for no limit. */
  readonly spacingMs: number;
  readonly suspended: boolean;
}

/** See the head of this file. */
export class Limit {
  settings: LimitSettings;
  running = 0;
  #nextMs: number;
  readonly #startMs: number;

  /** @param startMs when the process started: no earlier process can have begun a delivery after it */
  constructor(settings: LimitSettings, startMs: number) {
    this.settings = settings;
    this.#startMs = startMs;
    this.#nextMs = 0;
  }

  /** When a delivery may begin as far as this limit goes: a time that has come, one that will, or not before a change. */
  get opensMs(): number {
    const { concurrency, spacingMs, suspended } = this.settings;
    if (suspended || this.running >= concurrency) return Number.POSITIVE_INFINITY;
    return spacingMs === 0 ? 0 : Math.max(this.#nextMs, this.#startMs + spacingMs);
  }

  begin(nowMs: number): void {
    this.running++;
    this.#nextMs = nowMs + this.settings.spacingMs;
  }

  /** Undoes a {@link Limit.begin} (a delivery that did not take place) as far as the number goes. */
  end(): void {
    this.running--;
  }

  /** Whether nothing would be lost by forgetting it. */
  isIdle(nowMs: number): boolean {
    return this.running === 0 && this.opensMs <= nowMs;
  }
}
