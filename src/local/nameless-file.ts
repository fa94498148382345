// Temporary files that nobody else can open, and that are gone when the last descriptor is.

import { closeSync, constants, openSync, unlinkSync } from 'node:fs';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = constants;

/**
 * The same file open for writing and for reading: whoever gets the second cannot change it for others. Both begin at its beginning.
 * @param prefix of the name that it has for a moment
 * @throws Error of the system
 */
export function makeNamelessFile(prefix: string): { writing: number; reading: number } {
  const { tmpdir } = process.getBuiltinModule('node:os');
  const { randomBytes } = process.getBuiltinModule('node:crypto');
  const path = `${tmpdir()}/${prefix}.${randomBytes(12).toString('hex')}`;
  const writing = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    return { writing, reading: openSync(path, O_RDONLY) };
  } catch (error) {
    closeSync(writing);
    throw error;
  } finally {
    unlinkSync(path);
  }
}
