// Permanent failures of the small programs: one line on standard error, and the exit code that makes qmail-local bounce.

import { complain } from '../host/blocking-io.ts';
import { fatalLine } from './fatal.ts';

/** Writes `PROGRAM: usage: USAGE` and returns 100. */
export function refuseUsage(program: string, usage: string): number {
  complain(`${program}: usage: ${usage}\n`);
  return 100;
}

/** Writes `PROGRAM: fatal: TEXT` and returns 100. Strings stand for their bytes, one per character. */
export function failPermanently(program: string, ...text: readonly (string | Uint8Array)[]): number {
  complain(fatalLine(program, text));
  return 100;
}
