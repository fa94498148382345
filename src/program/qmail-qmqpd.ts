// qmail-qmqpd: the QMQP server for one connection on descriptors 0 and 1; see its manual page.

import { runQmqpd } from '../client/run-qmqpd.ts';
import { createQueuePool } from '../gate/queue-pool.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { openStandardInputOutput } from '../host/descriptor-io.ts';
import { readInvocation } from '../host/invocation.ts';

const { home, ownBin } = readInvocation();
void runQmqpd({
  ...openStandardInputOutput(),
  env: process.env,
  home,
  ownBin,
  clock: SYSTEM_CLOCK,
  // One session needs no turns, but its message may be larger than its memory.
  openQueue: createQueuePool({ clock: SYSTEM_CLOCK }).openQueue,
}).then((exit) => process.exit(exit));
