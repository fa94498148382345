// forward: sends the message on to other addresses, with the sender that qmail-local chose for forwarding.
// Source: the forward manual page.

import type { ProgramCall } from '../host/program-call.ts';
import { failPermanently } from './refuse.ts';
import { sendCopy } from './send-copy.ts';

const PROGRAM = 'forward';

/** Runs forward to its end; returns its exit code. */
export async function runForward(call: ProgramCall): Promise<number> {
  const sender = call.env.get('NEWSENDER');
  if (sender === undefined) return failPermanently(PROGRAM, 'NEWSENDER not set');
  const deliveryLine = call.env.get('DTLINE');
  if (deliveryLine === undefined) return failPermanently(PROGRAM, 'DTLINE not set');
  const envelope = { sender, recipients: call.args };
  return sendCopy(call, { program: PROGRAM, envelope, deliveryLine, fromStart: false, success: 0 });
}
