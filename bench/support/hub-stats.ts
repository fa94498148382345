// What a running hub says of its queue.

import { askHub } from '../../src/hub/admin-socket.ts';
import type { QueueStats, Tally } from '../../src/queue/queue.ts';

/** Messages, and the account of recipients. */
export interface HubStats extends QueueStats {
  readonly recipients: Tally;
}

/** Asks the hub of that home. */
export async function hubStats(home: string): Promise<HubStats> {
  let text = '';
  await askHub(home, '/stats', (piece) => {
    text += piece;
  });
  return JSON.parse(text) as HubStats;
}
