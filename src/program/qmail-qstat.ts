// qmail-qstat: counts the messages in the queue; see its manual page.

import { readInvocation } from '../host/invocation.ts';
import { runQstat } from '../hub/qread.ts';

process.exitCode = await runQstat(readInvocation().home, (text) => void process.stdout.write(text));
