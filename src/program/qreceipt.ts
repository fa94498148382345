// qreceipt: answers requests for notices of delivery. See qreceipt(1).

import { runQreceipt } from '../client/qreceipt.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('qreceipt', () => runQreceipt(readCall()));
