// How a client tells its hub that mail waits on it: a request without recipients whose message is one line, given before the
// first message that waited. The messages themselves stay as they are, to the byte, so that the hub recognises each again.

import { bytesOf, startsWith, textOf } from '../bytes/bytes.ts';

/** What waits on a client. */
export interface SpillReport {
  readonly messages: number;
  /** Seconds since the oldest of them came. */
  readonly oldest: number;
}

const BEFORE = 'Mini-Qmail-Spill: messages=';
const BETWEEN = ' oldest=';
const AFTER = '\n';
const NUMBER_MAX = 999_999_999_999;
/** Bytes of the longest report. */
export const SPILL_REPORT_SIZE_MAX = BEFORE.length + BETWEEN.length + AFTER.length + 24;

/** The message that tells it. */
export function formatSpillReport({ messages, oldest }: SpillReport): Uint8Array {
  const bounded = (value: number) => Math.min(Math.max(Math.floor(value), 0), NUMBER_MAX);
  return bytesOf(`${BEFORE}${bounded(messages)}${BETWEEN}${bounded(oldest)}${AFTER}`);
}

/** What a message without recipients tells; undefined if it is no report. */
export function parseSpillReport(message: Uint8Array): SpillReport | undefined {
  if (message.length > SPILL_REPORT_SIZE_MAX || !startsWith(message, bytesOf(BEFORE))) return undefined;
  const text = textOf(message).substring(BEFORE.length);
  const at = text.indexOf(BETWEEN);
  const report = {
    messages: Number(text.substring(0, at)),
    oldest: Number(text.substring(at + BETWEEN.length)),
  };
  // Only what was written here comes back as it was.
  return textOf(formatSpillReport(report)) === textOf(message) ? report : undefined;
}
