// qmail-newu: compiles users/assign for local delivery. See qmail-newu(8).

import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';
import { runQmailNewu } from '../local/users-newu.ts';

runProgram('qmail-newu', () => runQmailNewu(readCall()));
