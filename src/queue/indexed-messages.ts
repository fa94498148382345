// The messages that have moved to the index, as the embedded queue handles them: each answer of the index is taken down in
// order, and jobs of theirs that wait for their turn in memory are taken back when an operator changes their course.

import type { Claims } from './claims.ts';
import type { IndexSettled, IndexState, MessageIndex, PartName, Regrouped } from './message-index.ts';
import type { DestinationOf, Job, MessageId, Verdict } from './queue.ts';

/** See the head of this file. */
export class IndexedMessages {
  readonly #index: MessageIndex;
  readonly #claims: () => Claims;
  /** How many there are. */
  messages = 0;
  /** How many of their recipients are left to do. */
  recipients = 0;

  constructor(index: MessageIndex, claims: () => Claims) {
    this.#index = index;
    this.#claims = claims;
  }

  /** Takes down what the index said; every answer of it, in the order of the answers. */
  note({ messages, recipients, heads }: IndexState): void {
    this.messages = messages;
    this.recipients = recipients;
    this.#claims().note(heads);
  }

  /** See {@link Queue.settle}. */
  async settle(
    { id, channel, destination }: Job,
    verdicts: readonly Verdict[],
    nextDueMs: number | undefined,
  ): Promise<IndexSettled> {
    const settled = await this.#index.settle(id, { channel, destination }, verdicts, nextDueMs);
    this.note(settled);
    return settled;
  }

  /** See {@link Queue.reschedule}. */
  async reschedule(id: MessageId, dueMs: number): Promise<boolean> {
    const { out, ...state } = await this.#index.reschedule(id, dueMs);
    const busy = this.#claims().forget(out ?? [], id);
    this.note(state);
    // What waits in memory for its turn goes back, to be found with its new time.
    const back = (out ?? []).filter((part) => !busy.includes(part));
    const giveBack = async (part: PartName) => this.note(await this.#index.settle(id, part, [], dueMs));
    await Promise.all(back.map(giveBack));
    return out !== undefined;
  }

  /** See {@link Queue.handOut}. */
  async handOut(id: MessageId): Promise<Job[] | 'busy' | undefined> {
    const { jobs, wasOut, ...state } = await this.#index.handOut(id);
    const busy = this.#claims().forget(wasOut, id);
    this.note(state);
    if (busy.length === 0) return jobs;
    const isBusy = (job: Job) =>
      busy.some(({ channel, destination }) => channel === job.channel && destination === job.destination);
    const others = jobs?.filter((job) => !isBusy(job)) ?? [];
    await Promise.all(others.map((job) => this.settle(job, [], job.dueMs)));
    return 'busy';
  }

  /** See {@link Queue.regroup}. */
  async regroup(jobs: readonly Job[], nameOf: DestinationOf, dueMs: number | undefined): Promise<void> {
    const parts = new Map<string, Regrouped & { readonly positions: number[] }>();
    for (const { channel, dueMs: formerMs, recipients } of jobs) {
      if (channel !== 'remote') continue;
      for (const { index, address } of recipients) {
        const destination = nameOf({ address, channel });
        const part = parts.get(destination) ?? { destination, dueMs: dueMs ?? formerMs, positions: [] };
        parts.set(destination, { ...part, dueMs: Math.min(part.dueMs, dueMs ?? formerMs) });
        part.positions.push(index);
      }
    }
    try {
      const [first] = jobs;
      if (first !== undefined && parts.size > 0)
        this.note(await this.#index.regroup(first.id, [...parts.values()]));
    } catch (error) {
      await Promise.all(jobs.map((job) => this.settle(job, [], job.dueMs)));
      throw error;
    }
    const local = jobs.filter(({ channel }) => channel === 'local');
    await Promise.all(local.map((job) => this.settle(job, [], job.dueMs)));
  }

  /** @returns how many messages are gone, how many recipients were left to do, and whether there is a file of its bytes */
  async remove(id: MessageId): Promise<{ messages: number; left: number; isLarge: boolean }> {
    const { left, isLarge, ...state } = await this.#index.remove(id);
    const messages = this.messages - state.messages;
    this.#claims().forget(state.heads, id);
    this.note(state);
    return { messages, left, isLarge };
  }
}
