// The log of a server on standard error: lines of one turn of the event loop go out in one write. A reader that falls
// behind makes the server wait, as a log program under qmail does; a closed standard error does not stop mail.

import { complain } from './blocking-io.ts';
import { createLineLog, type Log } from './log.ts';

/** Lines to descriptor 2, and how to write out what waits before the process ends. */
export function openStderrLines(): { writeLine: (line: string) => void; flush: () => void } {
  let waiting: string[] = [];
  const flush = () => {
    const text = waiting.join('');
    waiting = [];
    if (text !== '') complain(text);
  };
  const writeLine = (line: string) => {
    if (waiting.push(line) === 1) setImmediate(flush);
  };
  return { writeLine, flush };
}

/** A log on descriptor 2 in the usual form, and how to write out what waits. */
export function openStderrLog(): { log: Log; flush: () => void } {
  const { writeLine, flush } = openStderrLines();
  return { log: createLineLog(writeLine), flush };
}
