// hub-lspawn: delivers to users of this machine for the hub. See hub-lspawn(8).

import { runProgram } from '../client/run-program.ts';
import { readInvocation } from '../host/invocation.ts';
import { runHubLspawn } from '../local/lspawn.ts';

runProgram('hub-lspawn', () => runHubLspawn(readInvocation()));
