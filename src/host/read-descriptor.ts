// The whole of an inherited descriptor, for programs that must have all of their input before they do anything.

import { readBlocking } from './blocking-io.ts';
import { isClosedAtStart } from './closed-descriptor.ts';
import { SystemError } from './system-error.ts';

const READ_SIZE = 65_536;

/** All bytes of an inherited descriptor in pieces, or undefined if it cannot be read. @throws RangeError for want of memory */
export function readDescriptor(descriptor: number): Uint8Array[] | undefined {
  if (isClosedAtStart(descriptor)) return undefined;
  const pieces: Uint8Array[] = [];
  try {
    for (;;) {
      const buffer = new Uint8Array(READ_SIZE);
      const length = readBlocking(descriptor, buffer);
      if (length === 0) return pieces;
      // A short piece is copied out of its buffer: a writer of single bytes must not cost 64 KB for each.
      pieces.push(length * 2 < READ_SIZE ? buffer.slice(0, length) : buffer.subarray(0, length));
    }
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
