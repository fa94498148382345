// When a recipient that could not be reached is tried again, and when that ends. The intervals grow with the square of
// the number of tries, counted from the message's birth, so a queue that was down does not hit the net all at once.
// Source: qmail's THOUGHTS on retry schedules; queuelifetime in the qmail-send manual page.

/** A channel of deliveries; each has its own schedule. */
export type RetryChannel = 'local' | 'remote';

const FUTURE_MIN_MS = 60_000;
const FUTURE_AGE_MS = 6_400_000;
const SKIP = { local: 10, remote: 20 };

/**
 * Time of the next attempt, ms since 1970: birth + (isqrt(seconds from birth to start) + skip)² seconds, with skip 10
 * (local) or 20 (remote). With prompt attempts that is 400 s, 1600 s, 3600 s … after birth for remote recipients.
 * @param startMs when the attempt that failed began
 */
export function nextAttemptMs(birthMs: number, startMs: number, channel: RetryChannel): number {
  const fromMs = bornBy(birthMs, startMs);
  const ageSeconds = Math.max(0, Math.floor(startMs / 1000) - Math.floor(fromMs / 1000));
  const root = integerRoot(ageSeconds) + SKIP[channel];
  return fromMs + root * root * 1000;
}

/**
 * A message from the future came while the clock was ahead; nobody knows its age. It counts as old enough for hourly attempts.
 * Differs: qmail-send waits until the clock has come that far.
 */
function bornBy(birthMs: number, startMs: number): number {
  return birthMs - startMs > FUTURE_MIN_MS ? startMs - FUTURE_AGE_MS : birthMs;
}

/** More time than there ever is between two attempts of {@link nextAttemptMs}, ms. */
export function longestRetryMs(lifetimeSeconds: number): number {
  // (r + s)² - r² with the longer skip; the last attempt that is followed by one is within the lifetime.
  return (2 * SKIP.remote * integerRoot(lifetimeSeconds) + SKIP.remote * SKIP.remote + 1) * 1000;
}

/**
 * Time of the next attempt by a schedule of one's own: that many seconds after birth, that many after that, and so on,
 * the last number for ever. Counted from birth, like the usual schedule, so that no number of tries has to be kept.
 * @param startMs when the attempt that failed began
 * @param retrySeconds one or more, each above 0
 */
export function nextAttemptByMs(birthMs: number, startMs: number, retrySeconds: readonly number[]): number {
  let atMs = bornBy(birthMs, startMs);
  for (let i = 0; i < retrySeconds.length; i++) {
    atMs += retrySeconds[i]! * 1000;
    if (atMs > startMs) return atMs;
  }
  const lastMs = retrySeconds[retrySeconds.length - 1]! * 1000;
  return atMs + (Math.floor((startMs - atMs) / lastMs) + 1) * lastMs;
}

/**
 * Whether a temporary failure in an attempt that began at `nowMs` is final: the message is older than its lifetime.
 * Compared in whole seconds, so that with a lifetime of 0 an attempt in the second of birth is not final.
 */
export function isDying(birthMs: number, nowMs: number, lifetimeSeconds: number): boolean {
  return Math.floor(nowMs / 1000) > Math.floor(birthMs / 1000) + lifetimeSeconds;
}

/** Largest integer whose square is not above `value`. */
function integerRoot(value: number): number {
  let root = Math.floor(Math.sqrt(value));
  while (root * root > value) root--;
  while ((root + 1) * (root + 1) <= value) root++;
  return root;
}
