// What one recipient's delivery has come to, from how a program like qmail-remote ended and what it printed. Source: what
// qmail-rspawn does with qmail-remote's reports. Differs: a program that cannot be started is a temporary trouble, always.

import { findByte, textOf } from '../bytes/bytes.ts';
import type { Outcome, OutcomeLetter } from './outcome.ts';

/** How a program ended: its exit code, or killed by a signal, or never started. */
export type RemoteEnd = number | 'crashed' | 'not-started';

const EXIT_TEMPORARY = 111;
const LETTERS: readonly OutcomeLetter[] = ['D', 'Z', 'K'];
const NO_RUN = 'Unable to run qmail-remote.\n';

/** The outcome, for a run with one recipient. @param output reports, each with a NUL behind it */
export function outcomeOfRemote(end: RemoteEnd, output: Uint8Array): Outcome {
  if (end === 'crashed') return { letter: 'Z', text: 'qmail-remote crashed.\n' };
  if (end === 'not-started' || end === EXIT_TEMPORARY) return { letter: 'Z', text: NO_RUN };
  if (end !== 0) return { letter: 'D', text: NO_RUN };
  if (output.length === 0) return { letter: 'Z', text: 'qmail-remote produced no output.\n' };
  return combine(splitReports(output), textOf(output.subarray(0, 1)));
}

/** Whole reports; what has no NUL behind it is none. */
function splitReports(output: Uint8Array): string[] {
  const reports: string[] = [];
  let from = 0;
  for (let nul = findByte(output, 0); nul >= 0; nul = findByte(output, 0, from)) {
    reports.push(textOf(output.subarray(from, nul)));
    from = nul + 1;
  }
  return reports;
}

/**
 * The recipient's own report decides if it is a refusal, else the message's. The message's text is shown too, unless it is
 * better news than the recipient's.
 */
function combine(reports: readonly string[], first: string): Outcome {
  let result = 0;
  for (let i = 0; i < reports.length; i++) {
    const found = LETTERS.indexOf(reports[i]!.charAt(0) as OutcomeLetter);
    if (found < 0) continue;
    result = found;
    break;
  }
  let own = result;
  if (first === 's') own = 1;
  else if (first === 'h') own = 0;
  const [recipient = '', message = ''] = reports;
  const isShown = result <= own && LETTERS.indexOf(message.charAt(0) as OutcomeLetter) >= 0;
  return { letter: LETTERS[own]!, text: recipient.substring(1) + (isShown ? message.substring(1) : '') };
}
