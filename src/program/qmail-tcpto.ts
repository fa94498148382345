// qmail-tcpto: prints the addresses that have timed out lately; see its manual page.

import { runProgram } from '../client/run-program.ts';
import { runTcpto } from '../delivery/tcpto-programs.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { readInvocation } from '../host/invocation.ts';
import { readWords } from '../host/program-words.ts';

const print = (text: string) => writeBlocking(1, Buffer.from(text));
const { home } = readInvocation();
runProgram('qmail-tcpto', () => runTcpto({ home, env: readWords().env, clock: SYSTEM_CLOCK, print }));
