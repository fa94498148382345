// tcp-env: tells a program under inetd who its client is; see its manual page.

import { runProgram } from '../client/run-program.ts';
import { runTcpEnv } from '../gate/tcp-env.ts';
import { readWords } from '../host/program-words.ts';

runProgram('tcp-env', () => runTcpEnv(readWords()));
