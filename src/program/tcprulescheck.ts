// tcprulescheck: says what tcpserver would do. See tcprulescheck(1).

import { runProgram } from '../client/run-program.ts';
import { runTcprulescheck } from '../gate/tcprulescheck.ts';
import { readWords } from '../host/program-words.ts';

runProgram('tcprulescheck', () => runTcprulescheck(readWords()));
