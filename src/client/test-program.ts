// A program that decides by its exit code whether something is to be done, for condredirect, except and bouncesaying:
// 0 is yes, 111 is "not now", anything else, a program that does not exist included, is no.

import { runChild } from '../host/child.ts';
import { isTemporaryError } from '../host/error-text.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { failTemporarily } from './fatal.ts';

const EXIT_NOT_NOW = 111;

/** Runs the program; a number is the exit code to end with, the reason having been told. */
export function runTestProgram(
  caller: string,
  words: readonly Uint8Array[],
  env: Environment,
): 'yes' | 'no' | number {
  const end = runChild(words, env);
  if (end === 'crashed') return failTemporarily(caller, 'child crashed');
  const isNotNow = typeof end === 'number' ? end === EXIT_NOT_NOW : isTemporaryError(end.notStarted);
  if (isNotNow) return failTemporarily(caller, 'temporary child error');
  return end === 0 ? 'yes' : 'no';
}
