// qmail-local: delivers a message to a user of this system. See qmail-local(8).

import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';
import { runQmailLocal } from '../local/run-qmail-local.ts';

runProgram('qmail-local', () => runQmailLocal(readCall()));
