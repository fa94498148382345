// The embedded durable queue: journal, large bodies and index put together. docs/internals/queue.md is its description;
// each legal state on disk and each accepted race is named there.
// Invariant: what commit, settle and remove promised is in the journal or in the index, on stable storage, before they resolve.

import { SystemError } from '../host/system-error.ts';
import { Claims } from './claims.ts';
import { EmbeddedIntake, type NewMessage } from './embedded-intake.ts';
import { createResubmissions, DEFAULT_OPTIONS, type EmbeddedQueueOptions } from './embedded-queue-options.ts';
import { Entry, type EntryOrigin, type Part, type Rescheduling } from './entry.ts';
import { IndexedMessages } from './indexed-messages.ts';
import { Journal, type Place } from './journal.ts';
import type { JournalRecord, NewRecord } from './journal-record.ts';
import { LargeBodies } from './large-bodies.ts';
import { addToOverview, listMessages } from './list-messages.ts';
import type { MessageIndex } from './message-index.ts';
import type {
  Admit,
  Channel,
  DestinationOf,
  FinishedMessage,
  Intake,
  Job,
  MessageId,
  Queue,
  QueuedMessage,
  QueueOverview,
  QueueStats,
  Settled,
  Tally,
  Verdict,
} from './queue.ts';
import type { Resubmissions } from './resubmissions.ts';
import { TallyBook } from './tally-book.ts';
import { YoungBodies } from './young-bodies.ts';

const YOUNG_BYTES_MAX = 16 << 20;

/** See the head of this file; {@link Queue} has the contract of each method. */
export class EmbeddedQueue implements Queue {
  readonly #options: Required<EmbeddedQueueOptions>;
  readonly #large: LargeBodies;
  readonly #index: MessageIndex;
  readonly #entries = new Map<MessageId, Entry>();
  readonly #young = new YoungBodies(YOUNG_BYTES_MAX);
  readonly #bySegment = new Map<number, Set<Entry>>();
  readonly #claims: Claims;
  readonly #resubmissions: Resubmissions;
  #journal!: Journal;
  readonly #indexed: IndexedMessages;
  #nextId: MessageId = 1;
  /** Files of messages that are gone, being removed. */
  readonly #removals = new Set<Promise<void>>();
  #spilling: Promise<void> | undefined;
  #spillFailed = false;
  #accepted = 0;
  #finishedCount = 0;
  readonly #tally = new TallyBook();
  #listener: () => void = () => undefined;

  private constructor(options: EmbeddedQueueOptions) {
    this.#options = { ...DEFAULT_OPTIONS, ...options };
    this.#large = new LargeBodies(options.files, `${options.folder}/large`, this.#options.log);
    this.#index = options.index;
    this.#resubmissions = createResubmissions(this.#options);
    this.#claims = new Claims(this.#entries, options.index, (state) => this.#indexed.note(state));
    this.#indexed = new IndexedMessages(options.index, () => this.#claims);
  }

  /**
   * Opens the queue and brings it to a legal state, whatever happened before.
   * @throws SystemError if the folder cannot be used, another process has it open, or acknowledged mail would be lost
   */
  static async open(options: EmbeddedQueueOptions): Promise<EmbeddedQueue> {
    const queue = new EmbeddedQueue(options);
    await options.files.makeFolder(options.folder).catch((error: unknown) => {
      throw new SystemError('make', options.folder, error);
    });
    await queue.#large.open();
    const { flushedThrough, highestId, ...state } = await options.index.open();
    queue.#indexed.note(state);
    queue.#nextId = highestId + 1;
    queue.#journal = await Journal.open({
      files: options.files,
      folder: `${options.folder}/journal`,
      segmentSize: queue.#options.segmentSize,
      retiredThrough: flushedThrough,
      replay: (record, segment) => queue.#replay(record, segment, flushedThrough),
      nextId: () => queue.#nextId,
    });
    await queue.#sweep();
    queue.#tally.count({ atStart: queue.tally().queued });
    return queue;
  }

  begin(): Intake {
    return new EmbeddedIntake({
      inlineSizeMax: this.#options.inlineSizeMax,
      nextId: () => this.#nextId++,
      large: this.#large,
      commit: (message) => this.#commit(message),
      once: (fingerprint, accept) => this.#resubmissions.once(fingerprint, accept),
    });
  }

  claim(channel: Channel, nowMs: number, limit: number, admit: Admit = () => true): Promise<Job[]> {
    return this.#claims.claim(channel, nowMs, limit, admit);
  }

  resume(channel: Channel, destination: string): void {
    this.#claims.agendas[channel].resume(destination);
  }

  nextDueMs(channel: Channel): number | undefined {
    return this.#claims.agendas[channel].nextDueMs();
  }

  onDue(listener: () => void): void {
    this.#listener = listener;
  }

  async read(id: MessageId): Promise<Uint8Array> {
    const entry = this.#entries.get(id);
    if (entry !== undefined) {
      const body = this.#young.take(id);
      if (body !== undefined) return body;
      const { segment, bodyAt, size } = entry.origin;
      if (bodyAt === undefined) return this.#large.read(id);
      // A spill may retire the segment in between; then the index has the bytes.
      if (entry.moving === undefined) return this.#journal.read(segment, bodyAt, size);
      await entry.moving;
      return this.read(id);
    }
    return (await this.#index.read(id)) ?? (await this.#large.read(id));
  }

  async settle(job: Job, verdicts: readonly Verdict[], nextDueMs?: number): Promise<Settled> {
    const entry = await this.#resting(job.id);
    if (entry === undefined) return this.#settleInIndex(job, verdicts, nextDueMs);
    const { id, segment } = entry.origin;
    if (entry.wouldEndWell(verdicts)) {
      await this.#append(entry, { type: 'remove', id, segment });
      this.#drop(entry, 'delivered');
      return { finished: true, failures: [] };
    }
    const { channel } = job;
    const part = entry.part(channel, job.destination);
    const isOver = part !== undefined && nextDueMs !== undefined;
    const left = isOver && !entry.isHeld(part) ? entry.firstLeft(part, verdicts) : undefined;
    const settlement = {
      channel,
      verdicts,
      nextDueMs: left === undefined ? undefined : nextDueMs,
      again: left === undefined ? [] : [left],
    };
    await this.#record(entry, settlement);
    const { delivered, failed } = entry.apply(settlement);
    if (this.#entries.has(id)) this.#tally.count({ delivered, failed });
    if (isOver) {
      part.out = false;
      this.#schedule(entry, part, false);
    }
    if (!entry.isFinished) return { finished: false, failures: [] };
    if (!entry.hasFailures) await this.remove(id);
    return { finished: true, failures: entry.failures };
  }

  async hasten(nowMs: number, laterThanMs = nowMs): Promise<void> {
    for (const entry of this.#entries.values())
      for (const part of entry.hasten(nowMs, laterThanMs)) this.#schedule(entry, part, false);
    this.#indexed.note(await this.#index.hasten(nowMs, laterThanMs));
    this.#listener();
  }

  async reschedule(id: MessageId, dueMs: number): Promise<boolean> {
    const entry = await this.#resting(id);
    if (entry === undefined) {
      const isThere = await this.#indexed.reschedule(id, dueMs);
      this.#listener();
      return isThere;
    }
    try {
      return await entry.reschedule(dueMs, (settlement) => this.#record(entry, settlement));
    } finally {
      this.#scheduleAll(entry);
    }
  }

  async handOut(id: MessageId): Promise<Job[] | 'busy' | undefined> {
    const entry = await this.#resting(id);
    if (entry !== undefined) return entry.handOut();
    return this.#indexed.handOut(id);
  }

  async regroup(jobs: readonly Job[], choose?: DestinationOf, dueMs?: number): Promise<void> {
    const [first] = jobs;
    if (first === undefined) return;
    const entry = await this.#resting(first.id);
    if (entry === undefined) {
      await this.#indexed.regroup(jobs, choose ?? this.#options.destinationOf, dueMs);
      this.#listener();
      return;
    }
    try {
      await entry.regroup(jobs, choose, dueMs, (settlement) => this.#record(entry, settlement));
    } finally {
      this.#scheduleAll(entry);
    }
  }

  async finished(): Promise<FinishedMessage[]> {
    const found: FinishedMessage[] = [];
    for (const entry of this.#entries.values()) {
      if (!entry.isFinished) continue;
      found.push(entry.finished());
    }
    return [...(await this.#index.finished()), ...found];
  }

  async remove(id: MessageId): Promise<void> {
    const entry = await this.#resting(id);
    if (entry === undefined) {
      const { messages, left, isLarge } = await this.#indexed.remove(id);
      this.#finishedCount += messages;
      this.#tally.count({ removed: left });
      if (isLarge) await this.#large.discard(id);
      return;
    }
    await this.#append(entry, { type: 'remove', id, segment: entry.origin.segment });
    this.#drop(entry, 'removed');
  }

  list(): AsyncIterable<QueuedMessage> {
    return listMessages(this.#entries.values(), this.#index);
  }

  async find(id: MessageId): Promise<QueuedMessage | undefined> {
    const entry = await this.#resting(id);
    if (entry !== undefined) return entry.queued();
    const [message] = await this.#index.list(id - 1, 1);
    return message?.id === id ? message : undefined;
  }

  async overview(): Promise<QueueOverview> {
    return addToOverview(this.#entries.values(), await this.#index.overview());
  }

  tally(): Tally {
    let queued = this.#indexed.recipients;
    for (const { left } of this.#entries.values()) queued += left;
    return this.#tally.read(queued);
  }

  stats(): QueueStats {
    return {
      messages: this.#entries.size + this.#indexed.messages,
      accepted: this.#accepted,
      resubmissions: this.#resubmissions.recognised,
      finished: this.#finishedCount,
    };
  }

  async close(): Promise<void> {
    await this.#spilling;
    await Promise.all(this.#removals);
    await this.#journal.close();
    await this.#index.close();
  }

  async #commit(message: NewMessage): Promise<void> {
    if (this.#journal.bytes > 2 * this.#options.journalSizeMax) await this.#makeRoom();
    const birthMs = this.#options.clock.nowMs();
    const { id, size, body, envelope, fingerprint } = message;
    const record = { type: 'accept', id, birthMs, size, body, envelope, fingerprint } as const;
    const place = await this.#journal.append(record);
    this.#accepted++;
    if (fingerprint !== undefined)
      this.#resubmissions.note({ fingerprint, id, atMs: birthMs }, place.segment);
    const { sender, recipients, dsn } = envelope;
    this.#tally.count({ accepted: recipients.length });
    const bodyAt = body === undefined ? undefined : place.bodyAt;
    const { segment } = place;
    const entry = this.#add({ id, birthMs, size, sender, recipients, dsn, segment, bodyAt });
    if (body !== undefined) this.#young.keep(id, body);
    for (const part of entry.parts) this.#schedule(entry, part, true);
    this.#spillIfLarge();
    // Nobody to deliver to: accepted, and done.
    if (entry.isFinished) await this.remove(id);
  }

  /** Keeps the journal within twice its limit. */
  async #makeRoom(): Promise<void> {
    while (this.#journal.bytes > 2 * this.#options.journalSizeMax) {
      if (this.#spilling === undefined) this.#spillIfLarge();
      await this.#spilling;
      if (this.#spillFailed) {
        throw new SystemError(
          'write',
          `${this.#options.folder}/journal`,
          new Error('it is at its size limit and the index takes nothing'),
        );
      }
    }
  }

  #replay(record: JournalRecord, segment: number, flushedThrough: number): void {
    switch (record.type) {
      case 'start':
        this.#nextId = Math.max(this.#nextId, record.nextId);
        break;
      case 'accept': {
        const { id, fingerprint, birthMs: atMs } = record;
        this.#nextId = Math.max(this.#nextId, id + 1);
        this.#add({ ...record, segment });
        if (fingerprint !== undefined) this.#resubmissions.note({ fingerprint, id, atMs }, segment);
        break;
      }
      case 'seen':
        for (const one of record.seen) this.#resubmissions.note(one, segment);
        break;
      case 'settle':
        // A verdict about a message of a flushed segment was taken into the index with it.
        if (record.segment > flushedThrough) this.#entries.get(record.id)?.apply(record);
        break;
      case 'remove': {
        const entry = record.segment > flushedThrough ? this.#entries.get(record.id) : undefined;
        if (entry !== undefined) this.#forget(entry);
        break;
      }
    }
  }

  /** After replay: what is due, what is done, and what nobody refers to. */
  async #sweep(): Promise<void> {
    for (const entry of this.#entries.values()) this.#scheduleAll(entry);
    for (const entry of [...this.#entries.values()]) {
      if (entry.isFinished && !entry.hasFailures) await this.remove(entry.origin.id);
    }
    const orphans = new Set((await this.#large.ids()).filter((id) => this.#entries.get(id) === undefined));
    for (const id of await this.#index.existing([...orphans])) orphans.delete(id);
    for (const id of orphans) {
      this.#nextId = Math.max(this.#nextId, id + 1);
      await this.#large.remove(id);
    }
    await this.#retireEmpty();
  }

  async #append(entry: Entry, record: NewRecord): Promise<Place> {
    entry.writesUnderWay++;
    try {
      return await this.#journal.append(record);
    } finally {
      entry.writesUnderWay--;
    }
  }

  async #record(entry: Entry, settlement: Rescheduling): Promise<void> {
    const { id, segment } = entry.origin;
    await this.#append(entry, { type: 'settle', id, segment, ...settlement });
  }

  /** The entry, not on the move to the index; undefined if it is there already. */
  async #resting(id: MessageId): Promise<Entry | undefined> {
    let entry = this.#entries.get(id);
    while (entry?.moving !== undefined) {
      await entry.moving;
      entry = this.#entries.get(id);
    }
    return entry;
  }

  async #settleInIndex(
    job: Job,
    verdicts: readonly Verdict[],
    nextDueMs: number | undefined,
  ): Promise<Settled> {
    const { finished, settlement, isLarge } = await this.#indexed.settle(job, verdicts, nextDueMs);
    this.#tally.count(settlement);
    this.#listener();
    if (finished === undefined) return { finished: false, failures: [] };
    if (finished.failures.length === 0) {
      this.#finishedCount++;
      if (isLarge) await this.#large.discard(job.id);
    }
    return { finished: true, failures: finished.failures };
  }

  #add(origin: EntryOrigin): Entry {
    const entry = new Entry(origin, this.#options.destinationOf);
    const { id, segment } = origin;
    this.#entries.set(id, entry);
    const others = this.#bySegment.get(segment);
    if (others === undefined) this.#bySegment.set(segment, new Set([entry]));
    else others.add(entry);
    return entry;
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.origin.id);
    this.#young.take(entry.origin.id);
    this.#bySegment.get(entry.origin.segment)?.delete(entry);
  }

  /** The message is gone for good, and that is on disk; what was left of it counts as said. */
  #drop(entry: Entry, left: 'delivered' | 'removed'): void {
    if (!this.#entries.has(entry.origin.id)) return;
    this.#forget(entry);
    this.#tally.count({ [left]: entry.left });
    this.#finishedCount++;
    if (entry.origin.bodyAt !== undefined) return;
    const removal = this.#large.discard(entry.origin.id).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  #schedule(entry: Entry, part: Part, fresh: boolean): void {
    if (part.left === 0 || part.out || entry.isHeld(part)) return;
    const due = { dueMs: part.dueMs, id: entry.origin.id };
    this.#claims.agendas[part.channel].add(part.destination, due, fresh);
    this.#listener();
  }

  #scheduleAll(entry: Entry): void {
    if (!this.#entries.has(entry.origin.id)) return;
    for (const part of entry.parts) this.#schedule(entry, part, false);
  }

  #spillIfLarge(): void {
    if (this.#spilling !== undefined || this.#journal.bytes <= this.#options.journalSizeMax) return;
    this.#spilling = this.#spillOldest()
      .then(() => {
        this.#spillFailed = false;
      })
      .catch((error: unknown) => {
        this.#spillFailed = true;
        this.#options.log.write('queue.spill-failed', { reason: String(error) });
      })
      .finally(() => {
        this.#spilling = undefined;
      });
  }

  /** Moves the survivors of the oldest segment to the index, then retires it. */
  async #spillOldest(): Promise<void> {
    const [number] = this.#journal.segmentNumbers;
    // On disk before the index says that the segment is obsolete.
    await this.#carryOn(number!);
    const entries = [...(this.#bySegment.get(number!) ?? [])];
    let arrived: () => void = () => undefined;
    const moving = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    for (const entry of entries) entry.moving = moving;
    try {
      // Verdicts that are being written belong to the old home; the rows must have them. Whoever found an entry at rest just
      // now, or just wrote about it, has the rest of this turn.
      do await new Promise<void>((resolve) => setImmediate(resolve));
      while (entries.some((entry) => entry.writesUnderWay > 0));
      const survivors = entries.filter((entry) => this.#entries.get(entry.origin.id) === entry);
      const rows = [];
      for (const entry of survivors) {
        const { bodyAt, size, segment } = entry.origin;
        rows.push(
          entry.row(bodyAt === undefined ? undefined : await this.#journal.read(segment, bodyAt, size)),
        );
      }
      if (rows.length > 0) {
        const state = await this.#index.insert(rows, number!);
        for (const entry of survivors) this.#forget(entry);
        this.#indexed.note(state);
      }
      this.#bySegment.delete(number!);
      await this.#journal.retireOldest();
    } finally {
      for (const entry of entries) {
        entry.moving = undefined;
        this.#scheduleAll(entry);
      }
      arrived();
      this.#listener();
    }
  }

  /** Retires oldest segments that no message needs. */
  async #retireEmpty(): Promise<void> {
    for (;;) {
      const [oldest, next] = this.#journal.segmentNumbers;
      if (next === undefined || (this.#bySegment.get(oldest!)?.size ?? 0) > 0) return;
      await this.#carryOn(oldest!);
      this.#bySegment.delete(oldest!);
      await this.#journal.retireOldest();
    }
  }

  #carryOn(segment: number): Promise<void> {
    return this.#resubmissions.carryOn(segment, async (seen) => {
      const place = await this.#journal.append({ type: 'seen', seen });
      return place.segment;
    });
  }
}
