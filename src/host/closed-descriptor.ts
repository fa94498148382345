// Tells a descriptor that was closed when the program was started. Node opens /dev/null for reading and writing in
// place of a closed descriptor 0, 1 or 2 before any of our code runs, so a lost standard input would look like an empty
// one, and an empty message would be sent. Where there is no Linux /proc nothing is recognised.
// A caller's own /dev/null, opened for reading as shells do, is told apart by its access mode; one opened for reading
// and writing is not, and counts as closed.

import { fstatSync, readFileSync } from 'node:fs';

// Device number 1:3 as stat(2) reports it.
const DEV_NULL = 0x103;
const ACCESS_MODE_MASK = 3;
const READ_AND_WRITE = 2;

/** Whether the descriptor (0, 1 or 2) is Node's replacement for one that was closed at the start. */
export function isClosedAtStart(descriptor: number): boolean {
  try {
    const status = fstatSync(descriptor);
    if (!status.isCharacterDevice() || status.rdev !== DEV_NULL) return false;
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
    const flags = /^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & ACCESS_MODE_MASK) === READ_AND_WRITE;
  } catch {
    return false;
  }
}
