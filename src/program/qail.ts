// qail: moves new mail to the mbox file and becomes Mail. See qail(1).

import { runQail } from '../client/qail.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('qail', () => runQail('qail', 'Mail', readCall()));
