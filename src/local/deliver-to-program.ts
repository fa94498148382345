// Gives the message to a program of the user, run by the shell in the home directory, and takes its exit code for the verdict.
// There is no time limit here: whoever started the delivery has one. Source: the qmail-command manual page.

import { closeSync } from 'node:fs';
import { untilNul } from '../core/bytes/bytes.ts';
import { verdictOfProgram } from '../core/policy/dot-qmail.ts';
import { errorText } from '../host/error-text.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { runShellCommand } from '../host/shell-command.ts';
import { errorCode } from '../host/system-error.ts';
import { deferral, rejection } from './delivery-failure.ts';
import { openMessage } from './message.ts';

const NO_PROCESS = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'];

/** Runs the command; returns whether later instructions count. @throws DeliveryFailure, without a text if the program failed */
export function deliverToProgram(command: Uint8Array, env: Environment): 'go-on' | 'stop' {
  const input = openMessage();
  const end = runShellCommand({ command: untilNul(command), env, input });
  closeSync(input);
  if (end === 'crashed') throw deferral('Aack, child crashed. (#4.3.0)');
  if (typeof end !== 'number') {
    const isFork = NO_PROCESS.includes(errorCode(end.notStarted) ?? '');
    const what = isFork ? 'Unable to fork: ' : 'Unable to run /bin/sh: ';
    throw deferral(what, errorText(end.notStarted), '. (#4.3.0)');
  }
  switch (verdictOfProgram(end)) {
    case 'success':
      return 'go-on';
    case 'stop':
      return 'stop';
    case 'permanent':
      throw rejection();
    case 'temporary':
      throw deferral();
  }
}
