// except: turns the answer of a program round. See except(1).

import { runExcept } from '../client/except.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('except', () => runExcept(readWords()));
