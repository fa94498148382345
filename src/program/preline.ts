// preline: puts lines on top of a message for a program. See preline(1).

import { runPreline } from '../client/preline.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('preline', () => runPreline(readWords()));
