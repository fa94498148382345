// Time behind an interface, so that tests run in virtual time.

/** What delivery and hub know of time. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Milliseconds since some moment: for how long something takes. Goes on evenly when somebody sets the clock. */
  steadyMs(): number;
  /** Calls back once after that many milliseconds, at the earliest; returns how to call it off. */
  after(delayMs: number, callback: () => void): () => void;
}

// A longer delay overflows Node's timer and fires at once.
const DELAY_MAX_MS = 2 ** 31 - 1;

/** The machine's clock. */
export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  steadyMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), DELAY_MAX_MS));
    return () => clearTimeout(timer);
  },
};
