// hub-queue: bin/qmail-queue of a host with a hub; see its manual page. Options and arguments are ignored, as they always were.

import { readInvocation } from '../host/invocation.ts';
import { runHubQueue } from '../hub/hub-queue.ts';

void runHubQueue({ home: readInvocation().home, env: process.env }).then((exit) => process.exit(exit));
