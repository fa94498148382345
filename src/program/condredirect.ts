// condredirect: sends a message on if a program says so. See condredirect(1).

import { runCondredirect } from '../client/condredirect.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('condredirect', () => runCondredirect(readCall()));
