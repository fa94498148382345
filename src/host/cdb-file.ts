// Constant databases as files: look-ups by reads at positions, never of the whole file. Who has one open goes on reading
// that when another takes its name.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { findInCdb } from '../core/format/cdb.ts';
import { SystemError } from './system-error.ts';

/** An open database. */
export interface CdbFile {
  /** The data of the first record with that key, or undefined if there is none. @throws SystemError; `EPROTO` if damaged */
  find(key: Uint8Array): Uint8Array | undefined;
  close(): void;
}

/** An error that says what the original programs call `protocol error`: a database that is not one. */
export function damagedCdb(path: string): SystemError {
  return new SystemError('read', path, codedError('it is no constant database, or is cut off', 'EPROTO'));
}

function codedError(text: string, code: string): Error {
  return Object.assign(new Error(text), { code });
}

/** Opens a database for reading. @throws SystemError */
export function openCdbFile(path: string | Uint8Array): CdbFile {
  const name = typeof path === 'string' ? path : Buffer.from(path).toString();
  let descriptor: number;
  let size: number;
  try {
    descriptor = openSync(
      typeof path === 'string' ? path : Buffer.from(path),
      constants.O_RDONLY | constants.O_NONBLOCK,
    );
    const status = fstatSync(descriptor);
    size = status.size;
    if (!status.isFile()) {
      closeSync(descriptor);
      throw codedError('it is no file', status.isDirectory() ? 'EISDIR' : 'EPROTO');
    }
  } catch (error) {
    throw new SystemError('read', name, error);
  }
  const read = (offset: number, length: number): Uint8Array | undefined => {
    // Before memory is taken: a damaged file may claim any length.
    if (offset + length > size) return undefined;
    const bytes = new Uint8Array(length);
    try {
      for (let at = 0; at < length; ) {
        const count = readSync(descriptor, bytes, at, length - at, offset + at);
        if (count === 0) return undefined;
        at += count;
      }
    } catch (error) {
      throw new SystemError('read', name, error);
    }
    return bytes;
  };
  return {
    find(key) {
      const data = findInCdb(read, key);
      if (data === 'corrupt') throw damagedCdb(name);
      return data;
    },
    close: () => closeSync(descriptor),
  };
}
