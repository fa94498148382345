// bouncesaying: bounces the message with a text, always or if a program says so. Source: the bouncesaying manual page.

import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { complain } from '../host/blocking-io.ts';
import type { ProgramWords } from '../host/program-words.ts';
import { refuseUsage } from './refuse.ts';
import { runTestProgram } from './test-program.ts';

const PROGRAM = 'bouncesaying';

/** Runs bouncesaying to its end; returns its exit code. */
export function runBouncesaying({ args, env }: ProgramWords): number {
  const [text, ...words] = args;
  if (text === undefined) return refuseUsage(PROGRAM, 'bouncesaying error [ program [ arg ... ] ]');
  if (words.length > 0) {
    const answer = runTestProgram(PROGRAM, words, env);
    if (answer === 'no') return 0;
    if (answer !== 'yes') return answer;
  }
  complain(concatBytes([text, bytesOf('\n')]));
  return 100;
}
