// How a short program that belongs to an installation was called.

import { type Invocation, readInvocation } from './invocation.ts';
import { type ProgramWords, readWords } from './program-words.ts';

/** Arguments and environment, and where the program belongs. */
export interface ProgramCall extends ProgramWords, Pick<Invocation, 'home' | 'ownBin' | 'calledAs'> {}

/** Reads the call from the process. */
export function readCall(): ProgramCall {
  return { ...readInvocation(), ...readWords() };
}
