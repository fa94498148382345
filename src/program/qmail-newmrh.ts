// qmail-newmrh: compiles control/morercpthosts for qmail-smtpd. See qmail-newmrh(8).

import { runProgram } from '../client/run-program.ts';
import { runQmailNewmrh } from '../gate/qmail-newmrh.ts';
import { readCall } from '../host/program-call.ts';

runProgram('qmail-newmrh', () => runQmailNewmrh(readCall()));
