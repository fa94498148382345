// A message of the journal in memory: what its records amount to. The bytes stay on disk.

import type { IndexRow } from './message-index.ts';
import type {
  Channel,
  Failure,
  Job,
  MessageId,
  QueuedMessage,
  Recipient,
  RecipientState,
  Verdict,
} from './queue.ts';
import { CHANNELS } from './queue.ts';

/** What makes an entry: an accept record. */
export interface EntryOrigin {
  readonly id: MessageId;
  readonly birthMs: number;
  readonly size: number;
  readonly sender: Uint8Array;
  readonly recipients: readonly Recipient[];
  readonly segment: number;
  /** Offset of the bytes in the segment; undefined if they are in a file of their own. */
  readonly bodyAt: number | undefined;
}

/** Per-recipient state and due times of one message. */
export class Entry {
  readonly origin: EntryOrigin;
  readonly #states: RecipientState[];
  readonly #failures: { readonly position: number; readonly report: string }[] = [];
  readonly #left: Record<Channel, number> = { local: 0, remote: 0 };
  readonly #due: Record<Channel, number>;
  /** Channels that are handed out. */
  readonly out: Record<Channel, boolean> = { local: false, remote: false };
  /** Journal records about it that are being written. */
  writesUnderWay = 0;
  /** Set while it moves to the index; settled when it is there, or has stayed. */
  moving: Promise<void> | undefined;

  constructor(origin: EntryOrigin) {
    this.origin = origin;
    this.#states = origin.recipients.map(() => 'todo');
    for (const { channel } of origin.recipients) this.#left[channel]++;
    this.#due = { local: origin.birthMs, remote: origin.birthMs };
  }

  /** When the channel is tried next, or undefined if it has nothing left. */
  dueMs(channel: Channel): number | undefined {
    return this.#left[channel] > 0 ? this.#due[channel] : undefined;
  }

  get isFinished(): boolean {
    return this.#left.local + this.#left.remote === 0;
  }

  get hasFailures(): boolean {
    return this.#failures.length > 0;
  }

  get failures(): Failure[] {
    return this.#failures.map(({ position, report }) => ({
      address: this.origin.recipients[position]!.address,
      report,
    }));
  }

  /** Whether these verdicts would leave nothing to do and nothing to bounce. */
  wouldEndWell(channel: Channel, verdicts: readonly Verdict[]): boolean {
    const other = channel === 'local' ? 'remote' : 'local';
    if (this.hasFailures || this.#left[other] > 0 || verdicts.length < this.#left[channel]) return false;
    const done = new Set<number>();
    for (const { index, state } of verdicts) {
      if (state !== 'done') return false;
      if (this.#states[index] === 'todo') done.add(index);
    }
    return done.size === this.#left[channel];
  }

  /** Applies an attempt's verdicts; one about a recipient that is settled already is ignored. */
  apply(channel: Channel, verdicts: readonly Verdict[], nextDueMs: number | undefined): void {
    for (const { index, state, report } of verdicts) {
      if (this.#states[index] !== 'todo') continue;
      this.#states[index] = state;
      this.#left[this.origin.recipients[index]!.channel]--;
      if (state === 'failed') this.#failures.push({ position: index, report: report ?? '' });
    }
    if (nextDueMs !== undefined) this.#due[channel] = nextDueMs;
  }

  job(channel: Channel): Job {
    const { id, sender, birthMs, size, recipients } = this.origin;
    const todo: { index: number; address: Uint8Array }[] = [];
    for (let index = 0; index < recipients.length; index++) {
      const recipient = recipients[index]!;
      if (recipient.channel === channel && this.#states[index] === 'todo')
        todo.push({ index, address: recipient.address });
    }
    return { id, channel, sender, birthMs, size, recipients: todo };
  }

  queued(): QueuedMessage {
    const { id, birthMs, size, sender } = this.origin;
    return { id, birthMs, size, sender, recipients: this.#recipientStates(), due: this.#dueTimes() };
  }

  /** The row that takes its place in the index. */
  row(body: Uint8Array | undefined): IndexRow {
    const { id, birthMs, size, sender } = this.origin;
    return {
      id,
      birthMs,
      size,
      sender,
      body,
      recipients: this.#recipientStates(),
      failures: this.#failures,
      due: this.#dueTimes(),
      out: CHANNELS.filter((channel) => this.out[channel]),
    };
  }

  #recipientStates(): (Recipient & { state: RecipientState })[] {
    return this.origin.recipients.map(({ address, channel }, index) => ({
      address,
      channel,
      state: this.#states[index]!,
    }));
  }

  #dueTimes(): { local?: number; remote?: number } {
    const local = this.dueMs('local');
    const remote = this.dueMs('remote');
    return { ...(local !== undefined && { local }), ...(remote !== undefined && { remote }) };
  }
}
