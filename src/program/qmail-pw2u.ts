// qmail-pw2u: makes users/assign from a list of accounts. See qmail-pw2u(8).

import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';
import { runQmailPw2u } from '../local/users-pw2u.ts';

runProgram('qmail-pw2u', () => runQmailPw2u(readCall()));
