// Telling whether a file is still the one that was read, at the price of one look at its name.

import { statSync } from 'node:fs';
import { SystemError } from './system-error.ts';

/**
 * What tells one file, and one state of it, from another; undefined if nothing has the name. Two changes within one tick of
 * the file system's clock that leave the size the same are not told apart.
 * @throws SystemError if that cannot be found out
 */
export function fileVersion(path: string | Buffer): string | undefined {
  try {
    const status = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (status === undefined) return undefined;
    const { dev, ino, mtimeNs, ctimeNs, size } = status;
    return `${dev} ${ino} ${mtimeNs} ${ctimeNs} ${size}`;
  } catch (error) {
    throw new SystemError('read', String(path), error);
  }
}
