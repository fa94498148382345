// tcpserver: accepts TCP connections and runs a program for each; see its manual page.

import { runProgram } from '../client/run-program.ts';
import { runTcpserver } from '../gate/tcpserver.ts';
import { readCall } from '../host/program-call.ts';

runProgram('tcpserver', () => runTcpserver(readCall()));
