// The index of messages that outlived the journal, as the embedded queue sees it. sqlite-index.ts does the work,
// index-worker.ts runs it in a thread of its own, worker-index.ts talks to that thread.

import type { MessageDsn } from '../core/policy/notification.ts';
import type { Settlement } from './entry.ts';
import type {
  Channel,
  FinishedMessage,
  Job,
  MessageId,
  QueuedMessage,
  QueueOverview,
  Recipient,
  RecipientState,
  Verdict,
} from './queue.ts';

/** A message on its way from the journal into the index. */
export interface IndexRow {
  readonly id: MessageId;
  readonly birthMs: number;
  readonly size: number;
  readonly sender: Uint8Array;
  readonly dsn?: MessageDsn | undefined;
  /** Undefined if the bytes are in a file of their own. */
  readonly body: Uint8Array | undefined;
  readonly recipients: readonly (Recipient & { readonly state: RecipientState })[];
  readonly failures: readonly { readonly position: number; readonly report: string }[];
  /** Those with something left to do. */
  readonly parts: readonly (PartName & {
    readonly dueMs: number;
    /** Whether it is handed out at the moment. */
    readonly out: boolean;
    /** Indexes of its recipients that are left. */
    readonly positions: readonly number[];
  })[];
}

/** A destination of a channel. */
export interface PartName {
  readonly channel: Channel;
  readonly destination: string;
}

/** The earliest due time of what the index has for a destination and has not handed out, ms; undefined for nothing. */
export interface IndexHead extends PartName {
  readonly dueMs: number | undefined;
}

/** What the queue keeps in mind of the index between calls: each call tells what it changed. */
export interface IndexState {
  readonly messages: number;
  /** Recipients left to do. */
  readonly recipients: number;
  readonly heads: readonly IndexHead[];
}

/** Remote recipients of a message that are parted anew. */
export interface Regrouped {
  readonly destination: string;
  readonly dueMs: number;
  /** In order. */
  readonly positions: readonly number[];
}

/** How many jobs of a destination are wanted, and until when they are due. */
export interface Wanted {
  readonly destination: string;
  readonly untilMs: number;
  readonly limit: number;
}

/** What became of a message by verdicts about it. */
export interface IndexSettled {
  /** The message, if that was the end of it; without failures it is gone. */
  readonly finished: FinishedMessage | undefined;
  readonly settlement: Settlement;
  /** Whether its bytes are in a file of their own. */
  readonly isLarge: boolean;
}

/** Each call is durable when it resolves; a failed call changed nothing. */
export interface MessageIndex {
  /** Opens and locks. @throws SystemError, also when another process has it open */
  open(): Promise<IndexState & { readonly flushedThrough: number; readonly highestId: number }>;
  /** Takes over the survivors of all journal segments up to `through`. */
  insert(rows: readonly IndexRow[], through: number): Promise<IndexState>;
  /** Hands out jobs of these destinations, earliest due first. */
  claim(channel: Channel, wanted: readonly Wanted[]): Promise<IndexState & { readonly jobs: Job[] }>;
  settle(
    id: MessageId,
    part: PartName,
    verdicts: readonly Verdict[],
    nextDueMs: number | undefined,
  ): Promise<IndexState & IndexSettled>;
  /** See {@link Queue.reschedule}. @returns also the destinations that are handed out; undefined if nothing is left */
  reschedule(id: MessageId, dueMs: number): Promise<IndexState & { readonly out: PartName[] | undefined }>;
  /** Hands out what is left of a message; `wasOut` names what was so already. `jobs` is undefined if it is not there. */
  handOut(
    id: MessageId,
  ): Promise<IndexState & { readonly jobs: Job[] | undefined; readonly wasOut: PartName[] }>;
  /** Parts the remote recipients of a message that are left anew, and takes them back; what is held stays held. */
  regroup(id: MessageId, parts: readonly Regrouped[]): Promise<IndexState>;
  /** Makes what is due later than the second time due at the first. */
  hasten(nowMs: number, laterThanMs: number): Promise<IndexState>;
  /** @returns also how many recipients were left to do, and whether its bytes are in a file of their own */
  remove(id: MessageId): Promise<IndexState & { readonly left: number; readonly isLarge: boolean }>;
  /** The message's bytes; undefined if they are in a file of their own. */
  read(id: MessageId): Promise<Uint8Array | undefined>;
  finished(): Promise<FinishedMessage[]>;
  overview(): Promise<QueueOverview>;
  /** Up to `limit` messages with an id above `after`, by id. */
  list(after: MessageId, limit: number): Promise<QueuedMessage[]>;
  /** Those of the ids that the index has. */
  existing(ids: readonly MessageId[]): Promise<MessageId[]>;
  close(): Promise<void>;
}
