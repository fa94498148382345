// recordio: runs a program and logs what goes between it and the network; see its manual page.

import { runProgram } from '../client/run-program.ts';
import { runRecordio } from '../gate/recordio.ts';
import { readWords } from '../host/program-words.ts';

runProgram('recordio', () => runRecordio(readWords()));
