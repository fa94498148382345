// pinq: moves new mail to the mbox file and becomes pine. See pinq(1).

import { runQail } from '../client/qail.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('pinq', () => runQail('pinq', 'pine', readCall()));
