// How a compiled file takes the place of the one in use: whoever opens the name finds the old file or the new one, whole,
// and finds the new one after a crash once the program has ended well.

import { renameSync } from 'node:fs';
import { insist } from '../client/trouble.ts';
import { flushFolderOfMoved } from '../host/flush-folder.ts';

/** Moves the flushed file `from` to the name `to`, and flushes that. @throws Trouble "unable to move FROM to TO" */
export function replaceFile(from: Uint8Array, to: Uint8Array): void {
  insist(['move ', from, ' to ', to], () => {
    renameSync(Buffer.from(from), Buffer.from(to));
    flushFolderOfMoved(Buffer.from(to));
  });
}
