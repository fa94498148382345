// A message of the journal in memory: what its records amount to. The bytes stay on disk.

import { type MessageDsn, type RecipientDsn, withoutDelay } from '../core/policy/notification.ts';
import { isChosenKey } from '../core/policy/route.ts';
import type { SettleRecord } from './journal-record.ts';
import type { IndexRow } from './message-index.ts';
import type {
  Channel,
  DestinationOf,
  Failure,
  FinishedMessage,
  Job,
  JobRecipient,
  MessageId,
  QueuedMessage,
  Recipient,
  RecipientState,
  Verdict,
} from './queue.ts';
import { HELD_MS } from './queue.ts';

/** What makes an entry: an accept record. */
export interface EntryOrigin {
  readonly id: MessageId;
  readonly birthMs: number;
  readonly size: number;
  readonly sender: Uint8Array;
  readonly recipients: readonly Recipient[];
  readonly dsn?: MessageDsn | undefined;
  readonly segment: number;
  /** Offset of the bytes in the segment; undefined if they are in a file of their own. */
  readonly bodyAt: number | undefined;
}

/** A record that changes due times alone. */
export type Rescheduling = Omit<SettleRecord, 'type' | 'id' | 'segment'>;

/** How many recipients a settlement has settled. */
export interface Settlement {
  readonly delivered: number;
  readonly failed: number;
}

/** The recipients of one message with one destination: what becomes a job. */
export interface Part {
  readonly channel: Channel;
  readonly destination: string;
  /** Indexes of its recipients, in order. */
  readonly positions: readonly number[];
  /** Recipients still to do. */
  readonly left: number;
  /** When it is tried next, if something is left. */
  readonly dueMs: number;
  /** Whether it is handed out. */
  out: boolean;
}

interface OwnPart extends Part {
  readonly positions: number[];
  left: number;
  dueMs: number;
}

/** Per-recipient state and due times of one message. */
export class Entry {
  readonly origin: EntryOrigin;
  readonly #states: RecipientState[];
  /** What is asked about recipients, where it has changed. */
  #asked: Map<number, RecipientDsn> | undefined;
  readonly #failures: { readonly position: number; readonly report: string }[] = [];
  #parts: OwnPart[] = [];
  readonly #partOf: OwnPart[];
  /** By {@link partKey}; only for messages with several parts. */
  readonly #byKey: Map<string, OwnPart> | undefined;
  #left: number;
  /** Journal records about it that are being written. */
  writesUnderWay = 0;
  /** Set while it moves to the index; settled when it is there, or has stayed. */
  moving: Promise<void> | undefined;
  /** The due time that an operator has set, until it is on disk. */
  #rescheduling: { readonly dueMs: number } | undefined;
  readonly #destinationOf: DestinationOf;

  constructor(origin: EntryOrigin, destinationOf: DestinationOf) {
    this.origin = origin;
    this.#destinationOf = destinationOf;
    const { recipients, birthMs } = origin;
    this.#states = recipients.map(() => 'todo');
    this.#left = recipients.length;
    if (recipients.length > 1) this.#byKey = new Map();
    this.#partOf = recipients.map((recipient, position) => {
      const { channel } = recipient;
      const destination = destinationOf(recipient);
      const key = this.#byKey && partKey(channel, destination);
      let part = key === undefined ? undefined : this.#byKey?.get(key);
      if (part === undefined) {
        part = { channel, destination, positions: [position], left: 1, dueMs: birthMs, out: false };
        // Arrays of one, not ones with room for more: most messages have one recipient, and very many may be here.
        if (position === 0) this.#parts = [part];
        else this.#parts.push(part);
        if (key !== undefined) this.#byKey?.set(key, part);
        return part;
      }
      part.positions.push(position);
      part.left++;
      return part;
    });
  }

  /** Every part, those with nothing left included. */
  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** The part of that destination, if the message has it. */
  part(channel: Channel, destination: string): Part | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(partKey(channel, destination));
    const [only] = this.#parts;
    return only?.channel === channel && only.destination === destination ? only : undefined;
  }

  /** Recipients still to do. */
  get left(): number {
    return this.#left;
  }

  /** Whether an operator holds the part, or is about to. */
  isHeld(part: Part): boolean {
    return (this.#rescheduling ?? part).dueMs === HELD_MS;
  }

  /** Whether anything that is left of it is held. */
  get isHeldAnywhere(): boolean {
    return this.#parts.some((part) => part.left > 0 && this.isHeld(part));
  }

  get isFinished(): boolean {
    return this.#left === 0;
  }

  get hasFailures(): boolean {
    return this.#failures.length > 0;
  }

  get failures(): Failure[] {
    return this.#failures.map(({ position, report }) => {
      const { address, dsn } = this.#recipient(position);
      return dsn === undefined ? { address, report } : { address, report, dsn };
    });
  }

  /** Whether these verdicts would leave nothing to do and nothing to bounce. */
  wouldEndWell(verdicts: readonly Verdict[]): boolean {
    if (this.hasFailures || verdicts.length < this.#left) return false;
    const done = new Set<number>();
    for (const { index, state } of verdicts) {
      if (state !== 'done') return false;
      if (this.#states[index] === 'todo') done.add(index);
    }
    return done.size === this.#left;
  }

  /** A recipient of the part that would still be to do after these verdicts. */
  firstLeft(part: Part, verdicts: readonly Verdict[]): number | undefined {
    const judged = new Set(verdicts.flatMap(({ index, state }) => (state === 'warned' ? [] : index)));
    return part.positions.find((position) => this.#states[position] === 'todo' && !judged.has(position));
  }

  /**
   * Applies what a record says; a verdict about a recipient that is settled already is ignored.
   * @returns how many recipients were settled
   */
  apply({ channel, verdicts, nextDueMs, again, destinations }: Rescheduling): Settlement {
    const counts = { delivered: 0, failed: 0 };
    for (const { index, state, report } of verdicts) {
      if (this.#states[index] !== 'todo') continue;
      if (state === 'warned') {
        const { dsn } = this.#recipient(index);
        this.#asked ??= new Map();
        if (dsn !== undefined) this.#asked.set(index, withoutDelay(dsn));
        continue;
      }
      this.#states[index] = state;
      this.#partOf[index]!.left--;
      this.#left--;
      counts[state === 'done' ? 'delivered' : 'failed']++;
      if (state === 'failed') this.#failures.push({ position: index, report: report ?? '' });
    }
    if (destinations !== undefined) this.#regroup(channel, again, destinations);
    if (nextDueMs === undefined) return counts;
    const meant =
      again.length > 0
        ? again.flatMap((index) => this.#partOf[index] ?? [])
        : this.#parts.filter((part) => part.channel === channel);
    for (const part of meant) part.dueMs = nextDueMs;
    return counts;
  }

  /** Parts the recipients of the channel that are left anew: those in `again` by these names, as far as they were chosen. */
  #regroup(channel: Channel, again: readonly number[], names: readonly string[]): void {
    const chosen = new Map(again.map((position, i) => [position, names[i]!]));
    const old = this.#parts.filter((part) => part.channel === channel);
    const others = this.#parts.filter((part) => part.channel !== channel);
    const fresh = new Map<string, OwnPart>();
    for (const { positions, dueMs } of old) {
      for (const position of positions) {
        if (this.#states[position] !== 'todo') continue;
        const name = chosen.get(position) ?? '';
        const destination = isChosenKey(name) ? name : this.#destinationOf(this.origin.recipients[position]!);
        const part = fresh.get(destination) ?? {
          ...{ channel, destination, positions: [], left: 0, dueMs, out: false },
        };
        fresh.set(destination, part);
        part.dueMs = Math.min(part.dueMs, dueMs);
        part.positions.push(position);
        part.left++;
        this.#partOf[position] = part;
      }
    }
    for (const part of fresh.values()) part.positions.sort((a, b) => a - b);
    this.#parts.splice(0, this.#parts.length, ...others);
    for (const part of fresh.values()) this.#parts.push(part);
    if (this.#byKey === undefined) return;
    this.#byKey.clear();
    for (const part of this.#parts) this.#byKey.set(partKey(part.channel, part.destination), part);
  }

  /** Takes back what {@link handOut} gave, parted anew, once `write` has put that on disk; see {@link Queue.regroup}. */
  async regroup(
    jobs: readonly Job[],
    choose: DestinationOf | undefined,
    dueMs: number | undefined,
    write: (settlement: Rescheduling) => Promise<void>,
  ): Promise<void> {
    try {
      const left = jobs.filter(({ channel }) => channel === 'remote').flatMap(({ recipients }) => recipients);
      if (left.length === 0) return;
      const nameOf = choose ?? this.#destinationOf;
      const isHeld = this.#parts.some((part) => part.channel === 'remote' && this.isHeld(part));
      const settlement = {
        channel: 'remote' as const,
        verdicts: [],
        nextDueMs: dueMs !== undefined && isHeld ? HELD_MS : dueMs,
        again: left.map(({ index }) => index),
        destinations: left.map(({ address }) => nameOf({ address, channel: 'remote' })),
      };
      // What goes by the routes alone is worked out anew at each start.
      const wasChosen = jobs.some(({ destination }) => isChosenKey(destination));
      if (dueMs !== undefined || wasChosen || settlement.destinations.some(isChosenKey))
        await write(settlement);
      this.apply(settlement);
    } finally {
      for (const part of this.#parts) part.out = false;
    }
  }

  /** Brings forward what waits for later; gives the parts that have changed. */
  hasten(nowMs: number, laterThanMs: number): readonly Part[] {
    const late = this.#parts.filter(
      (part) => part.left > 0 && !part.out && part.dueMs > laterThanMs && !this.isHeld(part),
    );
    for (const part of late) part.dueMs = nowMs;
    return late;
  }

  /**
   * Sets when what is left is tried next, once `write` has put that on disk; see {@link Queue.reschedule}.
   * @returns whether something is left
   */
  async reschedule(dueMs: number, write: (settlement: Rescheduling) => Promise<void>): Promise<boolean> {
    const left = this.#parts.filter((part) => part.left > 0).map(({ channel }) => channel);
    const rescheduling = { dueMs };
    this.#rescheduling = rescheduling;
    try {
      await Promise.all(
        [...new Set(left)].map(async (channel) => {
          const settlement = { channel, verdicts: [], nextDueMs: dueMs, again: [] };
          await write(settlement);
          this.apply(settlement);
        }),
      );
    } finally {
      if (this.#rescheduling === rescheduling) this.#rescheduling = undefined;
    }
    return left.length > 0;
  }

  /** Hands out all that is left; see {@link Queue.handOut}. */
  handOut(): Job[] | 'busy' {
    const parts = this.#parts.filter(({ left }) => left > 0);
    if (parts.some(({ out }) => out)) return 'busy';
    return parts.map((part) => {
      part.out = true;
      return this.job(part);
    });
  }

  job(part: Part): Job {
    const { id, sender, birthMs, size, dsn } = this.origin;
    const { channel, destination, dueMs } = part;
    const todo: JobRecipient[] = [];
    for (const index of part.positions) {
      if (this.#states[index] !== 'todo') continue;
      const { address, dsn: asked } = this.#recipient(index);
      todo.push(asked === undefined ? { index, address } : { index, address, dsn: asked });
    }
    const job = { id, channel, destination, dueMs, sender, birthMs, size, recipients: todo };
    return dsn === undefined ? job : { ...job, dsn };
  }

  queued(): QueuedMessage {
    const { id, birthMs, size, sender, dsn } = this.origin;
    const due: { local?: number; remote?: number } = {};
    for (const { channel, left, dueMs } of this.#parts) {
      if (left > 0) due[channel] = Math.min(due[channel] ?? dueMs, dueMs);
    }
    const destinations = this.#parts.filter((part) => part.channel === 'remote' && part.left > 0);
    const names = destinations.map(({ destination }) => destination);
    const recipients = this.#recipientStates();
    const message = { id, birthMs, size, sender, recipients, due, destinations: names };
    return dsn === undefined ? message : { ...message, dsn };
  }

  /** What is left to tell of it when it {@link isFinished}. */
  finished(): FinishedMessage {
    const { id, sender, birthMs, dsn } = this.origin;
    const message = { id, sender, birthMs, failures: this.failures };
    return dsn === undefined ? message : { ...message, dsn };
  }

  /** The row that takes its place in the index. */
  row(body: Uint8Array | undefined): IndexRow {
    const { id, birthMs, size, sender, dsn } = this.origin;
    return {
      id,
      birthMs,
      size,
      sender,
      dsn,
      body,
      recipients: this.#recipientStates(),
      failures: this.#failures,
      parts: this.#parts
        .filter(({ left }) => left > 0)
        .map(({ channel, destination, dueMs, out, positions }) => ({
          channel,
          destination,
          dueMs,
          out,
          positions: positions.filter((position) => this.#states[position] === 'todo'),
        })),
    };
  }

  #recipientStates(): (Recipient & { state: RecipientState })[] {
    return this.#states.map((state, index) => ({ ...this.#recipient(index), state }));
  }

  #recipient(index: number): Recipient {
    const recipient = this.origin.recipients[index]!;
    const dsn = this.#asked?.get(index);
    return dsn === undefined ? recipient : { ...recipient, dsn };
  }
}

function partKey(channel: Channel, destination: string): string {
  return `${channel}:${destination}`;
}
