// except: turns the answer of a program round. Source: the except manual page.

import type { ProgramWords } from '../host/program-words.ts';
import { refuseUsage } from './refuse.ts';
import { runTestProgram } from './test-program.ts';

const PROGRAM = 'except';

/** Runs except to its end; returns its exit code: 100 if the program says yes. */
export function runExcept({ args, env }: ProgramWords): number {
  if (args.length === 0) return refuseUsage(PROGRAM, 'except program [ arg ... ]');
  const answer = runTestProgram(PROGRAM, args, env);
  if (answer === 'yes') return 100;
  return answer === 'no' ? 0 : answer;
}
