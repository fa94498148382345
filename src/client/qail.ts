// qail, elq and pinq: move new mail to the mbox file and become a mail reader. They differ in the reader only.
// Source: the qail, elq and pinq manual pages.

import { bytesOf } from '../core/bytes/bytes.ts';
import { become } from '../host/become.ts';
import { runChild } from '../host/child.ts';
import { programOfHome } from '../host/home-program.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { errorCode } from '../host/system-error.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';

/**
 * Runs maildir2mbox of the home and, if that went well, becomes the reader. Returns the exit code if it does not come to that.
 * @param program name for messages
 * @param reader name of the mail reader, found in PATH
 */
export function runQail(program: string, reader: string, call: ProgramCall): number {
  const mover = programOfHome(call.home, call.ownBin, 'maildir2mbox');
  const end = runChild([bytesOf(mover)], call.env);
  if (end === 'crashed') return failTemporarily(program, 'child crashed');
  if (typeof end !== 'number') return failOnSystem(program, ['run ', mover], end.notStarted);
  if (end !== 0) return end;
  return failOnSystem(program, ['run ', reader], becomeInPath(reader, call));
}

/** Tries the folders of PATH in order; returns, with the reason, only if none has such a program. */
function becomeInPath(name: string, { args, env }: ProgramCall): unknown {
  const folders = (env.strings['PATH'] ?? '/bin:/usr/bin').split(':');
  let reason: unknown;
  for (const folder of folders) {
    const error = become(`${folder === '' ? '.' : folder}/${name}`, args, env);
    // A program that is there and cannot be run says more than that there is none elsewhere.
    if (reason === undefined || !isAbsence(error)) reason = error;
  }
  return reason;
}

function isAbsence(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
