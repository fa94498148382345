// The durable queue as the rest of the hub sees it. A store (embedded, in memory, later PostgreSQL) implements this and
// passes the shared suite in queue-suite.ts. docs/internals/queue.md has the embedded store's states on disk.
//
// The acceptance contract: when `commit` resolves, message and envelope are on stable storage in one atomic step; when it
// rejects or the process dies earlier, nothing of the message will ever be delivered.

import { lowerCase, textOf } from '../core/bytes/bytes.ts';
import { domainOf } from '../core/format/domain-map.ts';
import type { MessageDsn, RecipientDsn } from '../core/policy/notification.ts';

/** Names a message in its store: a positive safe integer, never used twice, growing with time of acceptance. */
export type MessageId = number;

/** Which kind of delivery a recipient needs, with its own retry schedule (qmail's two channels). */
export type Channel = 'local' | 'remote';

/** All channels; a channel's place here is its number on disk. */
export const CHANNELS: readonly Channel[] = ['local', 'remote'];

/** One recipient as it is stored. */
export interface Recipient {
  /** The address after rewriting; what is delivered to. */
  readonly address: Uint8Array;
  readonly channel: Channel;
  readonly dsn?: RecipientDsn | undefined;
}

/**
 * Names the destination of a recipient: what can share a connection, and is slow or dead together. Recipients of one
 * message with one destination are one {@link Job}; destinations take turns. It may answer otherwise from one time to the next:
 * what was accepted before keeps its name until the next start, or {@link Queue.regroup}; in an index for longer.
 */
export type DestinationOf = (recipient: Recipient) => string;

/** All local recipients together; remote ones by the domain, in lower case. */
export const destinationByDomain: DestinationOf = ({ address, channel }) =>
  channel === 'local' ? '' : textOf(lowerCase(domainOf(address) ?? NO_BYTES));

const NO_BYTES = new Uint8Array(0);

/** What is stored beside the message's bytes. */
export interface Envelope {
  /** Envelope sender; empty for a bounce; may end in `-@[]` (VERP). */
  readonly sender: Uint8Array;
  readonly recipients: readonly Recipient[];
  readonly dsn?: MessageDsn | undefined;
}

/** Characters of a {@link Fingerprint}. */
export const FINGERPRINT_LENGTH = 16;

/**
 * Stands for sender, recipients and bytes of a message as they were submitted: {@link FINGERPRINT_LENGTH} characters
 * U+0000 to U+00FF, of a hash that nobody can find a second input to.
 */
export type Fingerprint = string;

/** What became of a message with a fingerprint. */
export interface Accepted {
  /** The message; for a resubmission the one that was accepted first, which may be delivered and gone by now. */
  readonly id: MessageId;
  readonly isResubmission: boolean;
}

/** Where a recipient stands: still to be delivered, delivered, or failed for good. */
export type RecipientState = 'todo' | 'done' | 'failed';

/** One message being taken in. Bytes beyond a few tens of kilobytes go to disk as they come. */
export interface Intake {
  /**
   * Appends message bytes; the array may be reused by the caller when the promise (if any) has resolved.
   * A failure is remembered and reported by {@link Intake.commit}.
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * Makes the message durable. The first attempt is due at once. A message without recipients is accepted and gone.
   * @throws SystemError when anything could not be stored: nothing is queued then
   */
  commit(envelope: Envelope): Promise<MessageId>;
  /**
   * As {@link Intake.commit}, unless a message with that fingerprint was accepted lately, across restarts too: then this
   * one is forgotten. If the same is being committed at the moment, waits for that, and tries only if it fails.
   * @throws SystemError as commit does
   */
  commitOnce(envelope: Envelope, fingerprint: Fingerprint): Promise<Accepted>;
  /**
   * Counts bytes that the caller keeps for the message, as of its recipients, where memory is bounded.
   * @returns false if there is no room: the message will not be accepted, and nothing need be kept
   */
  hold?(bytes: number): boolean;
  /** Forgets the message; nothing of it stays. Call exactly one of commit, commitOnce and abort. */
  abort(): void;
}

/** A message of which the recipients of one destination are due, handed out to be delivered. */
export interface Job {
  readonly id: MessageId;
  readonly channel: Channel;
  /** What {@link DestinationOf} said of the recipients. */
  readonly destination: string;
  /** Since when it is due, ms since 1970. */
  readonly dueMs: number;
  readonly sender: Uint8Array;
  /** Time of acceptance, ms since 1970. */
  readonly birthMs: number;
  /** Bytes of the message. */
  readonly size: number;
  /** Recipients of the destination that are still to do; `index` names the recipient in the message. */
  readonly recipients: readonly JobRecipient[];
  readonly dsn?: MessageDsn | undefined;
}

/** A recipient of a job. */
export interface JobRecipient {
  /** Names the recipient in the message. */
  readonly index: number;
  readonly address: Uint8Array;
  readonly dsn?: RecipientDsn | undefined;
}

/**
 * What became of one recipient of a job in this attempt; a recipient without verdict stays `todo`. One that is `warned` does
 * so too, and its sender, which was told of the delay, does not ask to be told of it any more.
 */
export interface Verdict {
  readonly index: number;
  readonly state: 'done' | 'failed' | 'warned';
  /** For `failed`: the report for the bounce, one character U+0000 to U+00FF per byte, LF line ends. Kept with the message until it is finished. */
  readonly report?: string;
}

/** One message as an operator sees it. */
export interface QueuedMessage {
  readonly id: MessageId;
  readonly birthMs: number;
  readonly size: number;
  readonly sender: Uint8Array;
  readonly recipients: readonly (Recipient & { readonly state: RecipientState })[];
  readonly dsn?: MessageDsn | undefined;
  /** When the first destination of each channel with work left is tried next, ms since 1970, or {@link HELD_MS}. */
  readonly due: { readonly local?: number; readonly remote?: number };
  /** What the remote destinations with work left are called, each once. */
  readonly destinations: readonly string[];
}

/** A failed recipient with its report, in order of failure; input of the bounce. */
export interface Failure {
  readonly address: Uint8Array;
  readonly report: string;
  readonly dsn?: RecipientDsn | undefined;
}

/** What a settlement left: nothing to do any more, and if so whom to bounce for. */
export interface Settled {
  readonly finished: boolean;
  readonly failures: readonly Failure[];
}

/** A message of which no recipient is left to do. */
export interface FinishedMessage {
  readonly id: MessageId;
  readonly sender: Uint8Array;
  readonly birthMs: number;
  readonly failures: readonly Failure[];
  readonly dsn?: MessageDsn | undefined;
}

/** Due time of what an operator holds: the last that a date can tell, so that every store keeps it as it is. */
export const HELD_MS = 8.64e15;

/**
 * Recipients, each counted once, since the store was opened: `atStart + accepted = delivered + failed + removed + queued`
 * whenever nothing is being written. `queued` is counted from what the store holds, not from the others.
 */
export interface Tally {
  /** Left to do when the store was opened. */
  readonly atStart: number;
  readonly accepted: number;
  readonly delivered: number;
  /** For good: their senders get a bounce. */
  readonly failed: number;
  /** Gone with a message that was removed while they were left to do. */
  readonly removed: number;
  /** Left to do now. */
  readonly queued: number;
}

/** Counters since the store was opened, and what it holds now. */
export interface QueueStats {
  readonly messages: number;
  readonly accepted: number;
  /** Messages that were submitted again and recognised; not in `accepted`. */
  readonly resubmissions: number;
  readonly finished: number;
}

/** The state of the queue at a moment. */
export interface QueueOverview {
  /** Messages of which something is held. */
  readonly held: number;
  /** When the oldest message was accepted, ms since 1970; undefined if there is none. */
  readonly oldestMs: number | undefined;
}

/** Whether a job of that destination may be handed out now; `isFresh` if it got new mail since it was last asked about. */
export type Admit = (destination: string, isFresh: boolean) => boolean;

/** A durable queue with one owner process. */
export interface Queue {
  /** Starts taking in a message. */
  begin(): Intake;
  /**
   * Hands out up to `limit` jobs of the channel that are due at `nowMs` and not handed out already: destinations take
   * turns, those with new mail jump the line every other time, and the earliest due of a destination comes first.
   * `admit` is asked before each job; a destination for which it says no is passed over, at no further cost, until
   * {@link resume} or new mail for it.
   * A job stays handed out until {@link settle} or the end of the process; after a restart it is due again.
   */
  claim(channel: Channel, nowMs: number, limit: number, admit?: Admit): Promise<Job[]>;
  /** Lets a destination that was passed over have its turns again; does not call the {@link onDue} listener. */
  resume(channel: Channel, destination: string): void;
  /**
   * The earliest time at which {@link claim} would find something not handed out, ms; undefined if nothing waits but
   * what is passed over.
   */
  nextDueMs(channel: Channel): number | undefined;
  /** Called after each commit or other change that may make something due earlier than {@link nextDueMs} said. */
  onDue(listener: () => void): void;
  /** The message's bytes as given to {@link Intake.write}. @throws SystemError */
  read(id: MessageId): Promise<Uint8Array>;
  /**
   * Records verdicts of an attempt; durable when it resolves. With `nextDueMs` the attempt is over and recipients of the
   * job that are left are tried next at that time. Without it the attempt goes on and the job stays handed out: what is
   * delivered of a message to many hosts is on disk before the slowest host answers.
   * Resolves with `failures` when no recipient of either channel is left to do: the caller then queues the bounce, if
   * one is due, and calls {@link remove}; after a crash in between the message is handed out again by {@link finished}.
   * A message that ends without failures is removed by this call; {@link remove} is then without effect.
   * If the message was removed meanwhile nothing happens (`finished` is false).
   * @throws SystemError if nothing could be recorded: the job stays handed out, and the call can be made again
   */
  settle(job: Job, verdicts: readonly Verdict[], nextDueMs: number | undefined): Promise<Settled>;
  /**
   * Makes everything that waits for a later attempt due at `nowMs`; what is handed out, passed over or held stays so. May be
   * forgotten when the store is closed.
   * @param laterThanMs only what is due later than that; `nowMs` if it is left out
   * @throws SystemError if only a part could be reached
   */
  hasten(nowMs: number, laterThanMs?: number): Promise<void>;
  /**
   * Sets when what is left of a message is tried next; durable when it resolves. With {@link HELD_MS} nothing of it is handed
   * out until it is called again with another time; an attempt that is under way goes on, and its end does not change that.
   * @returns whether the message is there and has recipients left @throws SystemError when it may not have been done in full
   */
  reschedule(id: MessageId, dueMs: number): Promise<boolean>;
  /**
   * Hands out all that is left of a message, due or held or not, so that nobody delivers it: {@link remove} or
   * {@link settle} comes next. It is `busy` as long as a part is handed out already: nothing was done then.
   * @returns a job for each destination; undefined if the message is not there
   */
  handOut(id: MessageId): Promise<Job[] | 'busy' | undefined>;
  /**
   * Takes back the jobs that {@link handOut} gave of a message, its remote recipients parted by what `choose` says; durable when it
   * resolves. Without `choose` they go by the store's own {@link DestinationOf}, as it answers now; a name with CHOSEN_MARK (see
   * core/policy/route.ts) stays theirs over restarts.
   * @param dueMs when they are tried next; if undefined as before. What is held stays so
   * @throws SystemError if it could not be recorded: then everything is as before {@link handOut}
   */
  regroup(jobs: readonly Job[], choose?: DestinationOf, dueMs?: number): Promise<void>;
  /** Messages without recipients left that were not removed before the last stop. Call once after opening. */
  finished(): Promise<FinishedMessage[]>;
  /** Removes a message; durable when it resolves (a removal lost by a crash is found again by {@link finished}). */
  remove(id: MessageId): Promise<void>;
  /** All messages, oldest first; gives way to others in between. */
  list(): AsyncIterable<QueuedMessage>;
  /** One message as {@link list} shows it; undefined if it is not there. */
  find(id: MessageId): Promise<QueuedMessage | undefined>;
  /** What only a look at the store tells; cheap however much is queued. */
  overview(): Promise<QueueOverview>;
  tally(): Tally;
  stats(): QueueStats;
  /** Waits for what is under way and lets go of the files; nothing else may be called afterwards. */
  close(): Promise<void>;
}
