// The findings for people: aligned, one line for what was seen and one for what to do, the worst at the end where a terminal
// shows it last. Invariant: bytes of files and servers cannot command the terminal.

import { showBytes } from '../setup/show-bytes.ts';
import { CHECK_STATES, type CheckState, countStates, type Finding, plural } from './finding.ts';

const COLORS: { readonly [state in CheckState]: string } = {
  ok: '\x1b[32m',
  note: '\x1b[36m',
  warning: '\x1b[33m',
  error: '\x1b[31m',
};
const PLAIN = '\x1b[0m';
const STATE_WIDTH = 7;
/** A longer subject pushes its line, not those of others. */
const SUBJECT_WIDTH_MAX = 36;

/** Formats findings and their sum. @param withColor whether for a terminal that shows colours */
export function formatFindings(findings: readonly Finding[], withColor: boolean): string {
  const rank = ({ state }: Finding) => CHECK_STATES.indexOf(state);
  const sorted = [...findings].sort((a, b) => rank(a) - rank(b));
  const widthOf = (values: readonly string[], max = Number.POSITIVE_INFINITY) =>
    Math.max(0, ...values.map(({ length }) => Math.min(length, max)));
  const checkWidth = widthOf(sorted.map(({ check }) => check));
  const subjectWidth = widthOf(
    sorted.map(({ subject }) => plain(subject)),
    SUBJECT_WIDTH_MAX,
  );
  const indent = ' '.repeat(STATE_WIDTH + checkWidth + 4);
  const lines = sorted.flatMap(({ check, subject, state, seen, remedy }) => {
    const word = state.padEnd(STATE_WIDTH);
    const shown = withColor ? `${COLORS[state]}${word}${PLAIN}` : word;
    const line = `${shown}  ${check.padEnd(checkWidth)}  ${plain(subject).padEnd(subjectWidth)}  ${plain(seen)}`;
    return [line.trimEnd(), ...(remedy === undefined ? [] : [`${indent}do: ${plain(remedy)}`])];
  });
  const counts = countStates(findings);
  const sum = `${plural(counts.error, 'error')}, ${plural(counts.warning, 'warning')}, ${plural(counts.note, 'note')}, ${counts.ok} ok`;
  return `${[...lines, sum].join('\n')}\n`;
}

function plain(text: string): string {
  return showBytes(Buffer.from(text));
}
