// The log of a server on standard error: lines of one turn of the event loop go out in one write. A reader that falls
// behind makes the server wait, as a log program under qmail does; a closed standard error does not stop mail.

import { complain } from './blocking-io.ts';
import { createLineLog, type Log } from './log.ts';

/** A log on descriptor 2, and how to write out what waits before the process ends. */
export function openStderrLog(): { log: Log; flush: () => void } {
  let waiting: string[] = [];
  const flush = () => {
    const text = waiting.join('');
    waiting = [];
    if (text !== '') complain(text);
  };
  const log = createLineLog((line) => {
    if (waiting.push(line) === 1) setImmediate(flush);
  });
  return { log, flush };
}
