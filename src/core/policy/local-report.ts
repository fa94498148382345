// What the end of qmail-local means for the message: the exit codes that it and the step before it have, and as much of what was
// printed as a report may hold. Source: the qmail-lspawn and qmail-local manual pages.
// Differs: a qmail-local that cannot be run, for whatever reason, is a trouble that may pass.

import { bytesOf, textOf, untilNul } from '../bytes/bytes.ts';
import type { Outcome } from './outcome.ts';

/** Bytes of output that a report has at most. */
export const REPORT_MAX = 3000;

const KEPT = 2966;
const TOO_LONG = '\nError report too long, sorry.\n';

/** Exit codes that say why qmail-local was not run. */
export const LSPAWN_EXIT = {
  bug: 112,
  root: 113,
  nfs: 115,
  alias: 116,
  cdb: 117,
  temporary: 118,
  memory: 119,
  notRun: 120,
  noGetpw: 121,
} as const;

const TEXTS: { readonly [exit: number]: string } = {
  112: 'Internal qmail-lspawn bug.\n',
  113: 'Not allowed to perform deliveries as root.\n',
  115: 'NFS failure in qmail-local.\n',
  116: 'Unable to find alias user!\n',
  117: 'Trouble reading users/cdb in qmail-lspawn.\n',
  118: 'Temporary failure in qmail-lspawn.\n',
  119: 'Out of memory in qmail-lspawn.\n',
  120: 'Unable to run qmail-local.\n',
  121: 'Unable to run qmail-getpw.\n',
  126: 'Unable to run qmail-local.\n',
};

/** The outcome of a delivery that ended with an exit code, or `crashed` by a signal, and printed this (one character per byte). */
export function outcomeOfLocal(end: number | 'crashed', output: string): Outcome {
  if (end === 'crashed') return { letter: 'Z', text: 'qmail-local crashed.\n' };
  const text = TEXTS[end];
  if (text !== undefined) return { letter: 'Z', text };
  return { letter: letterOf(end), text: cutReport(output) };
}

function letterOf(exit: number): 'K' | 'Z' | 'D' {
  if (exit === 0) return 'K';
  return exit === 111 || exit === 71 || exit === 74 || exit === 75 ? 'Z' : 'D';
}

/** As much of the output as a report may have: up to its first NUL, and not more than {@link REPORT_MAX} bytes. */
export function cutReport(output: string): string {
  const whole = output.length > REPORT_MAX ? output.substring(0, KEPT) + TOO_LONG : output;
  return textOf(untilNul(bytesOf(whole)));
}
