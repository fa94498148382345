// Makes names last: what was created, moved or removed in a folder is on stable storage once the folder is flushed.

import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { errorCode } from './system-error.ts';

const SLASH = 47;

/** Flushes the folder that a path is in. Some file systems cannot, and say so. @throws Error of the system, with a code */
export function flushFolderOf(path: Buffer): void {
  const slash = path.lastIndexOf(SLASH);
  const folder = openSync(slash < 0 ? Buffer.from('.') : path.subarray(0, slash + 1), constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } catch (error) {
    if (errorCode(error) !== 'EINVAL') throw error;
  } finally {
    closeSync(folder);
  }
}

/** The same for a name that was moved there: who may write to a folder and not read it cannot flush it, and the move itself has been made. */
export function flushFolderOfMoved(path: Buffer): void {
  try {
    flushFolderOf(path);
  } catch (error) {
    if (errorCode(error) !== 'EACCES') throw error;
  }
}
