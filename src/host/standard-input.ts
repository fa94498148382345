// Standard input of a short program, read as it comes. Invariant: a descriptor that was closed at the start is an error
// and never an empty message.

import { readBlocking } from './blocking-io.ts';
import { isClosedAtStart } from './closed-descriptor.ts';
import { SystemError } from './system-error.ts';

const STDIN = 0;

/**
 * Reads what is there, at least one byte unless the input has ended; returns how many bytes.
 * @param position where to read in a file, leaving its own position alone; else that position is used and moved
 * @throws SystemError
 */
export function readStandardInput(buffer: Uint8Array, position?: number): number {
  const count = readBlocking(STDIN, buffer, position);
  if (count === 0 && isClosedAtStart(STDIN)) {
    const cause = Object.assign(new Error('closed'), { code: 'EBADF' });
    throw new SystemError('read', 'standard input', cause);
  }
  return count;
}
