// Where a program is that the user has named: in the folders of PATH unless the name has a slash. As djb's programs look for
// it: an empty folder is the working directory; a file that may not be run is passed over, and remembered as the reason.

import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { errorCode } from '../host/system-error.ts';

/** A path, or why there is none. */
export type FoundProgram = { readonly path: string } | { readonly error: unknown };

const DEFAULT_PATH = '/bin:/usr/bin';
const PASSED_OVER = ['ENOENT', 'EACCES', 'EPERM', 'EISDIR'];

/** Finds a program. @param searchPath `$PATH`, if it is set */
export function findProgram(name: string, searchPath = DEFAULT_PATH): FoundProgram {
  if (name.includes('/')) return tryPath(name);
  let found: FoundProgram | undefined;
  for (const folder of searchPath.split(':')) {
    const here = tryPath(`${folder === '' ? '.' : folder}/${name}`);
    if ('path' in here) return here;
    const code = errorCode(here.error) ?? '';
    if (!PASSED_OVER.includes(code)) return here;
    if (code !== 'ENOENT' || found === undefined) found = here;
  }
  return found ?? tryPath(name);
}

function tryPath(path: string): FoundProgram {
  try {
    accessSync(path, constants.X_OK);
    if (statSync(path).isDirectory()) throw Object.assign(new Error('It is a folder'), { code: 'EACCES' });
    const interpreter = interpreterOf(path);
    if (interpreter !== undefined) accessSync(interpreter, constants.X_OK);
    return { path };
  } catch (error) {
    return { error };
  }
}

const INTERPRETER_LINE_MAX = 256;

/** What the first line of a script names; undefined if the file has no such line or cannot be read. */
function interpreterOf(path: string): string | undefined {
  const head = Buffer.alloc(INTERPRETER_LINE_MAX);
  let length: number;
  try {
    const descriptor = openSync(path, 'r');
    length = readSync(descriptor, head, 0, head.length, 0);
    closeSync(descriptor);
  } catch {
    return undefined;
  }
  return /^#![ \t]*([^ \t\n]+)[ \t\n]/.exec(head.toString('latin1', 0, length))?.[1];
}
