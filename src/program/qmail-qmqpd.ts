// qmail-qmqpd: the QMQP server for one connection on descriptors 0 and 1; see its manual page.

import { runQmqpd } from '../client/run-qmqpd.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { openStandardInputOutput } from '../host/descriptor-io.ts';
import { readInvocation } from '../host/invocation.ts';

const { home, ownBin } = readInvocation();
const options = { ...openStandardInputOutput(), env: process.env, home, ownBin, clock: SYSTEM_CLOCK };
void runQmqpd(options).then((exit) => process.exit(exit));
