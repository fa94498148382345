// The hub's log on standard error, in the form that the administrator wants.

import type { Clock } from '../host/clock.ts';
import { createJsonLog, type Log } from '../host/log.ts';
import { openStderrLines, openStderrLog } from '../host/stderr-log.ts';
import { QmailLog } from './qmail-log.ts';

/** Facts as `name=value`; a JSON object a line; the lines of qmail-send. */
export type LogForm = 'text' | 'json' | 'qmail';

/** All forms, the usual one first. */
export const LOG_FORMS: readonly LogForm[] = ['text', 'json', 'qmail'];

/** A log on descriptor 2, and how to write out what waits before the process ends. */
export function openHubLog(form: LogForm, clock: Clock): { log: Log; flush: () => void } {
  if (form === 'text') return openStderrLog();
  const { writeLine, flush } = openStderrLines();
  if (form === 'json') return { log: createJsonLog(writeLine, () => clock.nowMs()), flush };
  const log = new QmailLog({ writeLine, uid: process.getuid?.() ?? 0, later: setImmediate });
  const flushBoth = () => {
    log.flush();
    flush();
  };
  return { log, flush: flushBoth };
}
