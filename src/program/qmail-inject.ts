// qmail-inject: completes a message and hands it to the queue program. See qmail-inject(8).

import { runQmailInject } from '../client/inject.ts';
import { readInvocation } from '../host/invocation.ts';
import { argumentBytes, Environment } from '../host/raw-arguments.ts';

const { args, ...invocation } = readInvocation();
const env = new Environment(process.env);
void runQmailInject({ ...invocation, args: argumentBytes(args), env }).then((exit) => process.exit(exit));
