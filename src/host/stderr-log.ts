// The log of a server on standard error: lines of one turn of the event loop go out in one write.

import { writeSync } from 'node:fs';
import { createLineLog, type Log } from './log.ts';

/** A log on descriptor 2, and how to write out what waits before the process ends. */
export function openStderrLog(): { log: Log; flush: () => void } {
  let waiting: string[] = [];
  const flush = () => {
    const text = waiting.join('');
    waiting = [];
    if (text !== '') writeAll(Buffer.from(text, 'latin1'));
  };
  const log = createLineLog((line) => {
    if (waiting.push(line) === 1) setImmediate(flush);
  });
  return { log, flush };
}

/** Writes everything, waiting for a slow reader; a closed standard error must not stop mail. */
function writeAll(bytes: Buffer): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(2, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}
