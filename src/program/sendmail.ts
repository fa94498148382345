// sendmail: the traditional command line in front of qmail-inject. See sendmail(8).

import { runSendmail } from '../client/sendmail.ts';
import { readInvocation } from '../host/invocation.ts';
import { argumentBytes, Environment } from '../host/raw-arguments.ts';

const { args, ...invocation } = readInvocation();
const env = new Environment(process.env);
void runSendmail({ ...invocation, args: argumentBytes(args), env }).then((exit) => process.exit(exit));
