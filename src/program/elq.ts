// elq: moves new mail to the mbox file and becomes elm. See elq(1).

import { runQail } from '../client/qail.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('elq', () => runQail('elq', 'elm', readCall()));
