// What the embedded queue hands out: messages in memory and messages in the index, in one order. The index is asked for
// several jobs of a destination at a time; those whose turn has not come wait in the agenda.

import { Agenda } from './agenda.ts';
import type { Entry } from './entry.ts';
import type { IndexHead, IndexState, MessageIndex, PartName, Wanted } from './message-index.ts';
import type { Admit, Channel, Job, MessageId } from './queue.ts';

/** Jobs of one destination that the index is asked for at a time; the call costs more than the rows. */
const FETCH_MAX = 20;
/** Jobs that wait in memory for their turns, beyond which one of each destination is asked for. */
const FETCHED_MAX = 20_000;

/** See the head of this file. */
export class Claims {
  readonly agendas: Readonly<Record<Channel, Agenda>>;
  readonly #entries: ReadonlyMap<MessageId, Entry>;
  readonly #index: MessageIndex;
  readonly #onState: (state: IndexState) => void;
  #fetched = 0;

  /** @param onState takes what the index says with each answer, and calls {@link Claims.note} */
  constructor(
    entries: ReadonlyMap<MessageId, Entry>,
    index: MessageIndex,
    onState: (state: IndexState) => void,
  ) {
    this.#entries = entries;
    this.#index = index;
    this.#onState = onState;
    this.agendas = { local: this.#createAgenda('local'), remote: this.#createAgenda('remote') };
  }

  /** See {@link Queue.claim}. */
  async claim(channel: Channel, nowMs: number, count: number, admit: Admit): Promise<Job[]> {
    const jobs: Job[] = [];
    for (;;) {
      const wanted: Wanted[] = [];
      const limit = this.#fetched < FETCHED_MAX ? FETCH_MAX : 1;
      while (jobs.length + wanted.length < count) {
        const next = this.agendas[channel].next(nowMs, admit);
        if (next === undefined) break;
        const { from } = next;
        if (from === 'fetched') {
          this.#fetched--;
          jobs.push(next.job);
        } else if (from === 'memory') jobs.push(this.#handOut(next.id, channel, next.destination));
        else wanted.push({ destination: next.destination, untilMs: next.untilMs, limit });
      }
      if (wanted.length === 0) return jobs;
      const found = await this.#fetch(channel, wanted).catch((error: unknown) => {
        // What is handed out already must reach the caller; the next call will find the same trouble.
        if (jobs.length === 0) throw error;
        return [];
      });
      jobs.push(...found);
      if (found.length === 0) return jobs;
    }
  }

  /** Takes down what the index has, by destination. */
  note(heads: readonly IndexHead[]): void {
    for (const { channel, destination, dueMs } of heads)
      this.agendas[channel].setIndexDue(destination, dueMs);
  }

  /** Takes back jobs of a message in the index that wait for their turn in memory. @returns the destinations that had none */
  forget(parts: readonly PartName[], id: MessageId): PartName[] {
    const others = parts.filter(({ channel, destination }) => !this.agendas[channel].forget(destination, id));
    this.#fetched -= parts.length - others.length;
    return others;
  }

  /** A job of a message in memory, of which the agenda says that it waits. */
  #handOut(id: MessageId, channel: Channel, destination: string): Job {
    const entry = this.#entries.get(id)!;
    const part = entry.part(channel, destination)!;
    part.out = true;
    return entry.job(part);
  }

  /** Asks the index; gives one job of each destination, the others wait for their turns in memory. */
  async #fetch(channel: Channel, wanted: readonly Wanted[]): Promise<Job[]> {
    const found = new Map<string, Job[]>(wanted.map(({ destination }) => [destination, []]));
    try {
      const { jobs, ...state } = await this.#index.claim(channel, wanted);
      this.#onState(state);
      for (const job of jobs) found.get(job.destination)?.push(job);
    } finally {
      for (const [destination, [, ...rest]] of found) {
        this.#fetched += rest.length;
        this.agendas[channel].arrived(destination, rest);
      }
    }
    return [...found.values()].flatMap(([first]) => first ?? []);
  }

  /** What is in memory comes up when it is not handed out, not gone, not moving, not rescheduled. */
  #createAgenda(channel: Channel): Agenda {
    return new Agenda(({ id, dueMs }, destination) => {
      const entry = this.#entries.get(id);
      const part = entry?.moving === undefined ? entry?.part(channel, destination) : undefined;
      return part !== undefined && !part.out && part.left > 0 && part.dueMs === dueMs;
    });
  }
}
