// A queue that keeps everything in memory: for tests of what stands on the queue, and the plainest reading of the
// interface. What a real store has on disk is in MemoryQueueStorage, so that a "restart" can be played.

import { concatBytes, copyBytes } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import { SystemError } from '../host/system-error.ts';
import { Agenda } from './agenda.ts';
import { Entry, type Part } from './entry.ts';
import { addToOverview } from './list-messages.ts';
import type {
  Admit,
  Channel,
  DestinationOf,
  Envelope,
  Intake,
  Job,
  MessageId,
  Queue,
  QueuedMessage,
  QueueOverview,
  QueueStats,
  Tally,
  Verdict,
} from './queue.ts';
import { destinationByDomain } from './queue.ts';
import { DEFAULT_RESUBMISSION_LIMITS, Resubmissions, type Seen } from './resubmissions.ts';
import { TallyBook } from './tally-book.ts';

/** What outlives a {@link MemoryQueue}, as files outlive a process. */
export class MemoryQueueStorage {
  nextId: MessageId = 1;
  readonly messages = new Map<MessageId, { readonly entry: Entry; readonly body: Uint8Array }>();
  readonly seen: Seen[] = [];
}

/** A queue without a disk; see the file header. */
export class MemoryQueue implements Queue {
  readonly #storage: MemoryQueueStorage;
  readonly #clock: Clock;
  readonly #destinationOf: DestinationOf;
  readonly #agendas: Readonly<Record<Channel, Agenda>>;
  readonly #resubmissions: Resubmissions;
  readonly #listeners: (() => void)[] = [];
  #accepted = 0;
  #finished = 0;
  readonly #tally = new TallyBook();

  constructor(storage: MemoryQueueStorage, clock: Clock, destinationOf = destinationByDomain) {
    this.#storage = storage;
    this.#clock = clock;
    this.#destinationOf = destinationOf;
    const createAgenda = (channel: Channel) =>
      new Agenda(({ id, dueMs }, destination) => {
        const part = storage.messages.get(id)?.entry.part(channel, destination);
        return part !== undefined && !part.out && part.left > 0 && part.dueMs === dueMs;
      });
    this.#agendas = { local: createAgenda('local'), remote: createAgenda('remote') };
    this.#resubmissions = new Resubmissions(DEFAULT_RESUBMISSION_LIMITS, clock, { write: () => undefined });
    for (const seen of storage.seen) this.#resubmissions.note(seen, 0);
    for (const { entry } of storage.messages.values()) {
      this.#tally.count({ atStart: entry.left });
      for (const part of entry.parts) {
        part.out = false;
        this.#schedule(entry, part, false);
      }
    }
  }

  begin(): Intake {
    const parts: Uint8Array[] = [];
    return {
      write: (bytes) => void parts.push(copyBytes(bytes)),
      commit: async (envelope) => this.#accept(concatBytes(parts), envelope),
      commitOnce: (envelope, fingerprint) =>
        this.#resubmissions.once(fingerprint, async () => {
          const id = this.#accept(concatBytes(parts), envelope);
          this.#remember({ fingerprint, id, atMs: this.#clock.nowMs() });
          return id;
        }),
      abort: () => void parts.splice(0),
    };
  }

  async claim(channel: Channel, nowMs: number, limit: number, admit: Admit = () => true): Promise<Job[]> {
    const jobs: Job[] = [];
    while (jobs.length < limit) {
      const next = this.#agendas[channel].next(nowMs, admit);
      if (next?.from !== 'memory') break;
      const { entry } = this.#storage.messages.get(next.id)!;
      const part = entry.part(channel, next.destination)!;
      part.out = true;
      jobs.push(entry.job(part));
    }
    return jobs;
  }

  resume(channel: Channel, destination: string): void {
    this.#agendas[channel].resume(destination);
  }

  nextDueMs(channel: Channel): number | undefined {
    return this.#agendas[channel].nextDueMs();
  }

  onDue(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async read(id: MessageId): Promise<Uint8Array> {
    const message = this.#storage.messages.get(id);
    if (message === undefined) throw new SystemError('read message', String(id), 'it is not in the queue');
    return message.body;
  }

  async settle(job: Job, verdicts: readonly Verdict[], nextDueMs: number | undefined) {
    const entry = this.#storage.messages.get(job.id)?.entry;
    const part = entry?.part(job.channel, job.destination);
    if (entry === undefined || part === undefined) return { finished: false, failures: [] };
    const left = entry.isHeld(part) ? undefined : entry.firstLeft(part, verdicts);
    const ends = nextDueMs !== undefined;
    const counts = entry.apply({
      channel: job.channel,
      verdicts,
      nextDueMs: left === undefined ? undefined : nextDueMs,
      again: left === undefined ? [] : [left],
    });
    this.#tally.count(counts);
    if (ends) {
      part.out = false;
      this.#schedule(entry, part, false);
    }
    if (entry.isFinished && !entry.hasFailures) await this.remove(job.id);
    return { finished: entry.isFinished, failures: entry.isFinished ? entry.failures : [] };
  }

  async hasten(nowMs: number, laterThanMs = nowMs): Promise<void> {
    for (const { entry } of this.#storage.messages.values())
      for (const part of entry.hasten(nowMs, laterThanMs)) this.#schedule(entry, part, false);
  }

  async reschedule(id: MessageId, dueMs: number): Promise<boolean> {
    const entry = this.#storage.messages.get(id)?.entry;
    if (entry === undefined || entry.isFinished) return false;
    await entry.reschedule(dueMs, async () => undefined);
    for (const part of entry.parts) this.#schedule(entry, part, false);
    return true;
  }

  async handOut(id: MessageId): Promise<Job[] | 'busy' | undefined> {
    return this.#storage.messages.get(id)?.entry.handOut();
  }

  async regroup(jobs: readonly Job[], choose?: DestinationOf, dueMs?: number): Promise<void> {
    const entry = this.#storage.messages.get(jobs[0]?.id ?? 0)?.entry;
    if (entry === undefined) return;
    await entry.regroup(jobs, choose, dueMs, async () => undefined);
    for (const part of entry.parts) this.#schedule(entry, part, false);
  }

  async finished() {
    return [...this.#storage.messages.values()]
      .filter(({ entry }) => entry.isFinished)
      .map(({ entry }) => entry.finished());
  }

  async remove(id: MessageId): Promise<void> {
    this.#tally.count({ removed: this.#storage.messages.get(id)?.entry.left ?? 0 });
    if (this.#storage.messages.delete(id)) this.#finished++;
  }

  async *list(): AsyncIterable<QueuedMessage> {
    for (const { entry } of this.#storage.messages.values()) yield entry.queued();
  }

  async find(id: MessageId): Promise<QueuedMessage | undefined> {
    return this.#storage.messages.get(id)?.entry.queued();
  }

  async overview(): Promise<QueueOverview> {
    const entries = [...this.#storage.messages.values()].map(({ entry }) => entry);
    return addToOverview(entries, { held: 0, oldestMs: undefined });
  }

  tally(): Tally {
    let queued = 0;
    for (const { entry } of this.#storage.messages.values()) queued += entry.left;
    return this.#tally.read(queued);
  }

  stats(): QueueStats {
    return {
      messages: this.#storage.messages.size,
      accepted: this.#accepted,
      resubmissions: this.#resubmissions.recognised,
      finished: this.#finished,
    };
  }

  async close(): Promise<void> {
    this.#listeners.length = 0;
  }

  #remember(seen: Seen): void {
    this.#storage.seen.push(seen);
    this.#resubmissions.note(seen, 0);
  }

  #accept(body: Uint8Array, envelope: Envelope): MessageId {
    const id = this.#storage.nextId++;
    const birthMs = this.#clock.nowMs();
    this.#accepted++;
    this.#tally.count({ accepted: envelope.recipients.length });
    if (envelope.recipients.length === 0) {
      this.#finished++;
      return id;
    }
    const origin = {
      id,
      birthMs,
      size: body.length,
      sender: copyBytes(envelope.sender),
      recipients: envelope.recipients.map((recipient) => ({
        ...recipient,
        address: copyBytes(recipient.address),
      })),
      dsn: envelope.dsn,
      segment: 0,
      bodyAt: undefined,
    };
    const entry = new Entry(origin, this.#destinationOf);
    this.#storage.messages.set(id, { entry, body });
    for (const part of entry.parts) this.#schedule(entry, part, true);
    return id;
  }

  #schedule(entry: Entry, part: Part, fresh: boolean): void {
    if (part.left === 0 || part.out || entry.isHeld(part)) return;
    this.#agendas[part.channel].add(part.destination, { dueMs: part.dueMs, id: entry.origin.id }, fresh);
    for (const listener of this.#listeners) listener();
  }
}
