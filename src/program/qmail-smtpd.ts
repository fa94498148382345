// qmail-smtpd: receives mail by SMTP on descriptors 0 and 1. See the manual page.

import { runScreenedSmtpd } from '../gate/screened-smtpd.ts';
import { complain } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { openStandardInputOutput, openStandardSocket } from '../host/descriptor-io.ts';
import { readInvocation } from '../host/invocation.ts';
import { openSocketInputOutput } from '../host/socket-io.ts';

const { home, ownBin } = readInvocation();
const socket = openStandardSocket();
void runScreenedSmtpd({
  ...(socket === undefined ? openStandardInputOutput() : openSocketInputOutput(socket)),
  env: process.env,
  home,
  ownBin,
  clock: SYSTEM_CLOCK,
  complain: (text) => complain(`qmail-smtpd: ${text}\n`),
}).then((exit) => process.exit(exit));
