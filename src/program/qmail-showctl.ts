// qmail-showctl: says what the control files mean. See qmail-showctl(8).

import { runQmailShowctl } from '../client/qmail-showctl.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('qmail-showctl', () => runQmailShowctl(readCall()));
