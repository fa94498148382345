// qmail-getpw: tells which account of this machine has the mail of an address. See qmail-getpw(8).

import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';
import { runQmailGetpw } from '../local/getpw.ts';

runProgram('qmail-getpw', () => runQmailGetpw(readCall()));
