// mailsubj: sends a body under a subject. See mailsubj(1).

import { runMailsubj } from '../client/mailsubj.ts';
import { runProgram } from '../client/run-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('mailsubj', () => runMailsubj(readCall()));
