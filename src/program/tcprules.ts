// tcprules: compiles rules for tcpserver. See tcprules(1).

import { runProgram } from '../client/run-program.ts';
import { runTcprules } from '../gate/tcprules.ts';
import { readWords } from '../host/program-words.ts';

runProgram('tcprules', () => runTcprules(readWords()));
