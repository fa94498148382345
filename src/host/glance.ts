// Looking at something that seldom changes, such as a control file's date, not for each of thousands of connections a
// second but now and then. Invariant: what is told is never older than a second, whichever way the clock is set meanwhile.

import type { Clock } from './clock.ts';

/** For how long one look will do, ms. */
export const GLANCE_MS = 1000;

/** Makes a function that tells what `look` told at most {@link GLANCE_MS} ago. When `look` throws, nothing is kept. */
export function glance<T>(clock: Pick<Clock, 'nowMs'>, look: () => T): () => T {
  let last: { readonly value: T; readonly atMs: number } | undefined;
  return () => {
    const nowMs = clock.nowMs();
    // A clock that was set back would otherwise make one look last for as long as that.
    if (last === undefined || nowMs < last.atMs || nowMs >= last.atMs + GLANCE_MS) {
      last = undefined;
      last = { value: look(), atMs: nowMs };
    }
    return last.value;
  };
}
