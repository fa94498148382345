// Opens files that several programs append to, each under a lock. Invariant: what is returned is the file that has the
// name once the lock is there; whoever held the lock before may have put another file in its place.

import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

const { O_WRONLY, O_NONBLOCK, O_APPEND, O_CREAT } = constants;

/**
 * Opens a file for appending, and makes it, for its owner alone, if need be. Does not wait for readers of a FIFO.
 * @param lock takes the lock, or throws; may be called again, for another file
 * @throws Error of the system with a code, or what `lock` threw; nothing is open then
 */
export function openForAppend(path: Buffer, lock: (descriptor: number) => void): number {
  for (;;) {
    const descriptor = openSync(path, O_WRONLY | O_NONBLOCK | O_APPEND | O_CREAT, 0o600);
    try {
      lock(descriptor);
      const locked = fstatSync(descriptor);
      const present = statSync(path, { throwIfNoEntry: false });
      if (present !== undefined && present.ino === locked.ino && present.dev === locked.dev)
        return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    closeSync(descriptor);
  }
}
