// Reads HOME/control. A file that does not exist is "missing" and has its default; every other problem (no right, a
// directory in its place) is a SystemError. Read anew at every call: programs are short, nothing is cached.

import { readFileSync } from 'node:fs';
import { bytesOf } from '../core/bytes/bytes.ts';
import { parseControlLine, parseControlList, parseControlNumber } from '../core/format/control-file.ts';
import { errorCode, SystemError } from './system-error.ts';

/**
 * The content of a file, or undefined if it does not exist.
 * @throws SystemError on any other failure
 */
export function readFileIfPresent(path: string | Buffer): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new SystemError('read', String(path), error);
  }
}

/** Value of the single-line file `HOME/control/NAME`, or undefined if it is missing. @throws SystemError */
export function readControlLine(home: string, name: string): Uint8Array | undefined {
  const content = readFileIfPresent(`${home}/control/${name}`);
  return content && parseControlLine(content);
}

/** Value of a single-line file with default: the value of `me` if that is given, else `word`. @throws SystemError */
export function readControlLineOr(
  home: string,
  name: string,
  me: Uint8Array | undefined,
  word = name,
): Uint8Array {
  return readControlLine(home, name) ?? me ?? bytesOf(word);
}

/** Entries of the list file `HOME/control/NAME`, or undefined if it is missing. @throws SystemError */
export function readControlList(home: string, name: string): Uint8Array[] | undefined {
  const content = readFileIfPresent(`${home}/control/${name}`);
  return content && parseControlList(content);
}

/** Value of the number file `HOME/control/NAME`, or `fallback` if missing or not a number. @throws SystemError */
export function readControlNumber(home: string, name: string, fallback: number): number {
  const content = readFileIfPresent(`${home}/control/${name}`);
  return (content && parseControlNumber(content)) ?? fallback;
}
