// Waits for what the log of a hub tells before it is on disk.

import { askForQueue } from '../../src/hub/admin-socket.ts';

/** Resolves when the only message in the queue of a running hub waits for a later remote attempt. */
export async function untilPutOff(home: string): Promise<void> {
  for (;;) {
    let text = '';
    await askForQueue(home, (piece) => {
      text += piece;
    });
    const { accepted, nextAttempt } = JSON.parse(text);
    if (nextAttempt.remote > accepted) return;
  }
}
