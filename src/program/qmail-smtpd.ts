// qmail-smtpd: receives mail by SMTP on descriptors 0 and 1. See the manual page.

import { createQueuePool } from '../gate/queue-pool.ts';
import { createRecipientChecks } from '../gate/recipient-check.ts';
import { runScreenedSmtpd } from '../gate/screened-smtpd.ts';
import { complain } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { openStandardInputOutput, openStandardSocket } from '../host/descriptor-io.ts';
import { readInvocation } from '../host/invocation.ts';
import { openSocketInputOutput } from '../host/socket-io.ts';

const { home, ownBin } = readInvocation();
const socket = openStandardSocket();
const options = { clock: SYSTEM_CLOCK, complain: (text: string) => complain(`qmail-smtpd: ${text}\n`) };
void runScreenedSmtpd({
  ...options,
  ...(socket === undefined ? openStandardInputOutput() : openSocketInputOutput(socket)),
  env: process.env,
  home,
  ownBin,
  // One session needs no turns, but its messages may be larger than its memory.
  openQueue: createQueuePool({ clock: SYSTEM_CLOCK }).openQueue,
  checkRecipient: createRecipientChecks(options)(home),
}).then((exit) => process.exit(exit));
