// Temporary failures of the small programs: one line on standard error, and the exit code that makes qmail-local try again.

import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { complain } from '../host/blocking-io.ts';
import { errorText } from '../host/error-text.ts';

/** Writes `PROGRAM: fatal: TEXT` and returns 111. Strings stand for their bytes, one per character. */
export function failTemporarily(program: string, ...text: readonly (string | Uint8Array)[]): number {
  complain(fatalLine(program, text));
  return 111;
}

/** The same for an error of the system: `PROGRAM: fatal: unable to ACTION: ERROR`. */
export function failOnSystem(
  program: string,
  action: readonly (string | Uint8Array)[],
  error: unknown,
): number {
  return failTemporarily(program, 'unable to ', ...action, ': ', errorText(error));
}

/** The line `PROGRAM: fatal: TEXT`, with its LF. */
export function fatalLine(program: string, text: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = [`${program}: fatal: `, ...text, '\n'];
  return concatBytes(parts.map((part) => (typeof part === 'string' ? bytesOf(part) : part)));
}
