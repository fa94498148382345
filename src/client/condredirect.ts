// condredirect: sends the message to another address if a program says so, and then ends the delivery here.
// The program may have read the message, so it is read from the beginning again; standard input must be a file.
// Source: the condredirect manual page.

import type { ProgramCall } from '../host/program-call.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { failOnSystem } from './fatal.ts';
import { failPermanently, refuseUsage } from './refuse.ts';
import { sendCopy } from './send-copy.ts';
import { runTestProgram } from './test-program.ts';

const PROGRAM = 'condredirect';
/** Tells qmail-local that the message is delivered and that later instructions are not to be followed. */
const SUCCESS_AND_STOP = 99;

/** Runs condredirect to its end; returns its exit code. */
export async function runCondredirect(call: ProgramCall): Promise<number> {
  const [recipient, ...words] = call.args;
  if (recipient === undefined || words.length === 0)
    return refuseUsage(PROGRAM, 'condredirect newaddress program [ arg ... ]');
  const answer = runTestProgram(PROGRAM, words, call.env);
  if (answer === 'no') return 0;
  if (answer !== 'yes') return answer;

  const problem = findRewindProblem();
  if (problem !== undefined) return failOnSystem(PROGRAM, ['rewind'], problem);
  const sender = call.env.get('SENDER');
  if (sender === undefined) return failPermanently(PROGRAM, 'SENDER not set');
  const deliveryLine = call.env.get('DTLINE');
  if (deliveryLine === undefined) return failPermanently(PROGRAM, 'DTLINE not set');
  return sendCopy(call, {
    program: PROGRAM,
    envelope: { sender, recipients: [recipient] },
    deliveryLine,
    fromStart: true,
    success: SUCCESS_AND_STOP,
  });
}

/** Why standard input cannot be read from its beginning, if so. Node cannot seek, but read at a position. */
function findRewindProblem(): SystemError | undefined {
  try {
    readStandardInput(new Uint8Array(1), 0);
  } catch (error) {
    const code = error instanceof SystemError ? errorCode(error.cause) : undefined;
    // Whatever else is wrong with it is no matter of its position, and shows when it is read.
    if (code === 'ESPIPE' || code === 'EBADF') return error as SystemError;
  }
  return undefined;
}
