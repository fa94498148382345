// What the parts of the shared suite (queue-suite.ts) work with.

import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { ManualClock } from '../host/manual-clock.ts';
import type { Channel, Job, MessageId, Queue } from './queue.ts';

/** What one test works with. */
export interface Bench {
  readonly clock: ManualClock;
  readonly queue: () => Queue;
  /** Closes the store and opens it again. */
  reopen(): Promise<Queue>;
}

type Check = (bench: Bench) => Promise<void>;

/** Declares a test. */
export type Declare = (sentence: string, check: Check) => void;

/** Recipients as `local:address` or `remote:address`. */
export async function accept(
  queue: Queue,
  body: string,
  sender: string,
  ...to: string[]
): Promise<MessageId> {
  const intake = queue.begin();
  await intake.write(bytesOf(body));
  const recipients = to.map((text) => {
    const channel: Channel = text.startsWith('local:') ? 'local' : 'remote';
    return { channel, address: bytesOf(text.slice(channel.length + 1)) };
  });
  return intake.commit({ sender: bytesOf(sender), recipients });
}

/** Their ids. */
export const ids = (jobs: readonly Job[]) => jobs.map(({ id }) => id);
/** Index and text of each recipient. */
export const addresses = (job: Job) => job.recipients.map(({ index, address }) => [index, textOf(address)]);
