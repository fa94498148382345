// qmail-qread: lists the messages in the queue; see its manual page.

import { readInvocation } from '../host/invocation.ts';
import { runQread } from '../hub/qread.ts';

process.exitCode = await runQread(readInvocation().home, (text) => void process.stdout.write(text));
