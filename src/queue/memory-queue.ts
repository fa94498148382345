// A queue that keeps everything in memory: for tests of what stands on the queue, and the plainest reading of the
// interface. What a real store has on disk is in MemoryQueueStorage, so that a "restart" can be played.

import { concatBytes, copyBytes } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import { SystemError } from '../host/system-error.ts';
import { DueHeap } from './due-heap.ts';
import type {
  Channel,
  Envelope,
  Failure,
  Intake,
  Job,
  MessageId,
  Queue,
  QueuedMessage,
  QueueStats,
  Recipient,
  RecipientState,
  Verdict,
} from './queue.ts';
import { CHANNELS } from './queue.ts';

interface StoredMessage {
  readonly id: MessageId;
  readonly birthMs: number;
  readonly body: Uint8Array;
  readonly sender: Uint8Array;
  readonly recipients: (Recipient & { state: RecipientState })[];
  readonly failures: Failure[];
  readonly due: Record<Channel, number>;
}

/** What outlives a {@link MemoryQueue}, as files outlive a process. */
export class MemoryQueueStorage {
  nextId: MessageId = 1;
  readonly messages = new Map<MessageId, StoredMessage>();
}

/** A queue without a disk; see the file header. */
export class MemoryQueue implements Queue {
  readonly #storage: MemoryQueueStorage;
  readonly #clock: Clock;
  readonly #due = { local: new DueHeap(), remote: new DueHeap() };
  readonly #listeners: (() => void)[] = [];
  #accepted = 0;
  #finished = 0;

  constructor(storage: MemoryQueueStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
    for (const message of storage.messages.values()) this.#schedule(message, CHANNELS);
  }

  begin(): Intake {
    const parts: Uint8Array[] = [];
    return {
      write: (bytes) => void parts.push(copyBytes(bytes)),
      commit: async (envelope) => this.#accept(concatBytes(parts), envelope),
      abort: () => void parts.splice(0),
    };
  }

  async claim(channel: Channel, nowMs: number, limit: number): Promise<Job[]> {
    const jobs: Job[] = [];
    while (jobs.length < limit && (this.nextDueMs(channel) ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const message = this.#storage.messages.get(this.#due[channel].pop()?.id ?? 0);
      if (message !== undefined) jobs.push(jobOf(message, channel));
    }
    return jobs;
  }

  nextDueMs(channel: Channel): number | undefined {
    const heap = this.#due[channel];
    let first = heap.first();
    while (first !== undefined && !this.#storage.messages.has(first.id)) {
      heap.pop();
      first = heap.first();
    }
    return first?.dueMs;
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
    const message = this.#storage.messages.get(job.id);
    if (message === undefined) return { finished: false, failures: [] };
    for (const { index, state, report } of verdicts) {
      const recipient = message.recipients[index];
      if (recipient?.state !== 'todo') continue;
      recipient.state = state;
      if (state === 'failed') message.failures.push({ address: recipient.address, report: report ?? '' });
    }
    if (nextDueMs !== undefined) {
      message.due[job.channel] = nextDueMs;
      this.#schedule(message, [job.channel]);
    }
    const finished = isFinished(message);
    if (finished && message.failures.length === 0) await this.remove(job.id);
    return { finished, failures: message.failures };
  }

  async finished() {
    return [...this.#storage.messages.values()]
      .filter(isFinished)
      .map(({ id, sender, birthMs, failures }) => ({ id, sender, birthMs, failures }));
  }

  async remove(id: MessageId): Promise<void> {
    if (this.#storage.messages.delete(id)) this.#finished++;
  }

  async *list(): AsyncIterable<QueuedMessage> {
    for (const message of this.#storage.messages.values()) {
      const due: { local?: number; remote?: number } = {};
      for (const channel of CHANNELS) {
        if (todoOf(message, channel).length > 0) due[channel] = message.due[channel];
      }
      const { id, birthMs, sender, recipients, body } = message;
      yield {
        id,
        birthMs,
        sender,
        recipients: recipients.map((one) => ({ ...one })),
        size: body.length,
        due,
      };
    }
  }

  stats(): QueueStats {
    return { messages: this.#storage.messages.size, accepted: this.#accepted, finished: this.#finished };
  }

  async close(): Promise<void> {
    this.#listeners.length = 0;
  }

  #accept(body: Uint8Array, envelope: Envelope): MessageId {
    const id = this.#storage.nextId++;
    const birthMs = this.#clock.nowMs();
    this.#accepted++;
    if (envelope.recipients.length === 0) {
      this.#finished++;
      return id;
    }
    const message: StoredMessage = {
      id,
      birthMs,
      body,
      sender: copyBytes(envelope.sender),
      recipients: envelope.recipients.map(({ address, channel }) => ({
        address: copyBytes(address),
        channel,
        state: 'todo',
      })),
      failures: [],
      due: { local: birthMs, remote: birthMs },
    };
    this.#storage.messages.set(id, message);
    this.#schedule(message, CHANNELS);
    return id;
  }

  #schedule(message: StoredMessage, channels: readonly Channel[]): void {
    for (const channel of channels) {
      if (todoOf(message, channel).length > 0)
        this.#due[channel].push({ dueMs: message.due[channel], id: message.id });
    }
    for (const listener of this.#listeners) listener();
  }
}

function todoOf(message: StoredMessage, channel: Channel): { index: number; address: Uint8Array }[] {
  return message.recipients.flatMap(({ address, channel: itsChannel, state }, index) =>
    state === 'todo' && itsChannel === channel ? [{ index, address }] : [],
  );
}

function isFinished(message: StoredMessage): boolean {
  return message.recipients.every(({ state }) => state !== 'todo');
}

function jobOf(message: StoredMessage, channel: Channel): Job {
  return {
    id: message.id,
    channel,
    sender: message.sender,
    birthMs: message.birthMs,
    size: message.body.length,
    recipients: todoOf(message, channel),
  };
}
