// maildirwatch: shows new mail on a terminal. See maildirwatch(1).

import { runMaildirwatch } from '../client/maildirwatch.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('maildirwatch', () => runMaildirwatch(readWords()));
