// forward: sends a message on to other addresses. See forward(1).

import { runForward } from '../client/forward.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('forward', () => runForward(readCall()));
