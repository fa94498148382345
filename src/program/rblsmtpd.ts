// rblsmtpd: keeps clients on block lists from an SMTP server; see its manual page.

import { runProgram } from '../client/run-program.ts';
import { runRblsmtpd } from '../gate/rblsmtpd.ts';
import { readCall } from '../host/program-call.ts';

runProgram('rblsmtpd', () => runRblsmtpd(readCall()));
