// Reads and writes on inherited descriptors that wait, whatever mode the descriptor is in. Another process may have set
// a shared pipe or terminal to non-blocking, and Node has no way to wait for such a descriptor without its event loop.

import { readSync, writeSync } from 'node:fs';
import { errorCode, SystemError } from './system-error.ts';

const STDERR = 2;
const RETRY_MS = 5;

/**
 * Reads what is there, at least one byte unless the input has ended; returns how many bytes.
 * @param position where in a file; without it the descriptor's own position is used and moved
 * @throws SystemError
 */
export function readBlocking(descriptor: number, buffer: Uint8Array, position?: number): number {
  return insist('read', descriptor, () => readSync(descriptor, buffer, 0, buffer.length, position ?? null));
}

/** Writes all bytes. @throws SystemError */
export function writeBlocking(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    at += insist('write', descriptor, () => writeSync(descriptor, bytes, at, bytes.length - at));
  }
}

/** Writes to standard error. That nobody may be listening is no failure: the exit code says it as well. */
export function complain(text: string | Uint8Array): void {
  try {
    writeBlocking(STDERR, typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  } catch {}
}

function insist(operation: string, descriptor: number, attempt: () => number): number {
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EAGAIN') pause();
      else if (code !== 'EINTR') throw new SystemError(operation, `descriptor ${descriptor}`, error);
    }
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
}
