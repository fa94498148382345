// What a hub has stored once it has nothing left to do: for tests that count copies.

import { askForQueue } from '../../src/hub/admin-socket.ts';
import { readMailbox } from './hub-process.ts';

/** Last lines of the messages to box@hub.example, when nothing is queued any more. */
export async function linesArrived(home: string): Promise<string[]> {
  for (;;) {
    let queued = '';
    await askForQueue(home, (more) => {
      queued += more;
    });
    if (queued === '') break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return readMailbox(home, 'hub.example', 'box').map((text) => text.trimEnd().split('\n').at(-1)!);
}
