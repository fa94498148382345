// Whether what the helper goes by is out of other people's reach. It runs as root: whoever can change users/cdb, a control file or
// the program could otherwise deliver as anybody. So each of them, and the folders that they are in, must be root's own.

import { lstatSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../host/system-error.ts';

const OTHERS_MAY_WRITE = 0o022;
const BELOW_HOME = [
  '',
  '/control',
  '/control/localdelivery',
  '/control/defaultdelivery',
  '/control/timeoutlocal',
  '/users',
  '/users/cdb',
  '/bin',
];

/**
 * The first path that somebody else than root can change; undefined if there is none. What does not exist is fine, as its
 * folder is looked at; programs are looked at where they really are. @throws Error of the system
 */
export function findUntrusted(home: string, programs: readonly string[]): string | undefined {
  const paths = BELOW_HOME.map((path) => `${home}${path}`);
  for (const program of programs) {
    const real = realPathOf(program);
    paths.push(dirname(program), real, dirname(real));
  }
  return paths.find((path) => isUntrusted(path));
}

/** Where the file really is; its own path if it is not there. @throws Error of the system */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return path;
    throw error;
  }
}

function isUntrusted(path: string): boolean {
  try {
    const { uid, mode } = lstatSync(path);
    return uid !== 0 || (mode & OTHERS_MAY_WRITE) !== 0;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
