// qmail-qmqpc: the QMQP client; see its manual page. Options and arguments are ignored, as they always were.

import { runQmqpc } from '../client/run-qmqpc.ts';
import { readInvocation } from '../host/invocation.ts';

void runQmqpc({ home: readInvocation().home, env: process.env }).then((exit) => process.exit(exit));
