// qmail-tcpok: forgets which addresses have timed out; see its manual page.

import { runProgram } from '../client/run-program.ts';
import { runTcpok } from '../delivery/tcpto-programs.ts';
import { complain } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { readInvocation } from '../host/invocation.ts';
import { readWords } from '../host/program-words.ts';

const { home } = readInvocation();
runProgram('qmail-tcpok', () =>
  runTcpok({ home, env: readWords().env, clock: SYSTEM_CLOCK, print: complain }),
);
