// What was accepted lately, by fingerprint, and what is being accepted right now: so that a message that is submitted again
// is not queued again. Shared by all stores; what is to outlive the process is theirs to keep.
// Invariants: no more than `countMax` fingerprints are kept, the newest; nobody is told that a message was accepted before
// the store's own promise about it has resolved; of submissions at the same time one goes ahead and the others wait.

import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { type Accepted, FINGERPRINT_LENGTH, type Fingerprint, type MessageId } from './queue.ts';

/** How long and how many fingerprints are kept. */
export interface ResubmissionLimits {
  /** Milliseconds for which a message is recognised; 0 for not at all. */
  readonly windowMs: number;
  /** Fingerprints that are kept; the oldest go first. */
  readonly countMax: number;
}

/** A day, for clients that spill and send later. */
export const SEEN_WINDOW_SECONDS = 86_400;
/** About 25 MB of memory and 6 MB of disk. */
export const SEEN_COUNT_MAX = 200_000;
/** What holds unless somebody says otherwise. */
export const DEFAULT_RESUBMISSION_LIMITS: ResubmissionLimits = {
  windowMs: SEEN_WINDOW_SECONDS * 1000,
  countMax: SEEN_COUNT_MAX,
};

/** An accepted message as it is remembered. */
export interface Seen {
  readonly fingerprint: Fingerprint;
  readonly id: MessageId;
  /** Time of acceptance, ms since 1970. */
  readonly atMs: number;
}

/** Fingerprints in one record: about 130 KB. */
const RECORD_COUNT_MAX = 4096;

/** See the head of this file. */
export class Resubmissions {
  readonly #windowMs: number;
  readonly #countMax: number;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Where a fingerprint is in the ring that the arrays below make up. */
  readonly #slots = new Map<Fingerprint, number>();
  readonly #fingerprints: Fingerprint[] = [];
  readonly #ids: Float64Array;
  readonly #times: Float64Array;
  readonly #segments: Uint32Array;
  /** The slot that is written next: the oldest, once the ring is full. */
  #next = 0;
  readonly #underWay = new Map<Fingerprint, Promise<MessageId>>();
  #recognised = 0;

  constructor({ windowMs, countMax }: ResubmissionLimits, clock: Clock, log: Log) {
    this.#windowMs = windowMs;
    this.#countMax = windowMs > 0 ? countMax : 0;
    this.#clock = clock;
    this.#log = log;
    this.#ids = new Float64Array(this.#countMax);
    this.#times = new Float64Array(this.#countMax);
    this.#segments = new Uint32Array(this.#countMax);
  }

  /** How many submissions were recognised. */
  get recognised(): number {
    return this.#recognised;
  }

  /** Remembers an accepted message, and, for the store's use, where on disk that is written down. */
  note({ fingerprint, id, atMs }: Seen, segment: number): void {
    if (this.#countMax === 0) return;
    const known = this.#slots.get(fingerprint);
    if (known !== undefined && this.#ids[known] === id) {
      this.#segments[known] = segment;
      return;
    }
    const slot = this.#next;
    const evicted = this.#fingerprints[slot];
    if (evicted !== undefined && this.#slots.get(evicted) === slot) this.#slots.delete(evicted);
    this.#fingerprints[slot] = fingerprint;
    this.#ids[slot] = id;
    this.#times[slot] = atMs;
    this.#segments[slot] = segment;
    this.#slots.set(fingerprint, slot);
    this.#next = (slot + 1) % this.#countMax;
  }

  /**
   * Has written down anew, by `append`, what would be forgotten with that segment. Never fails: not to recognise a
   * resubmission is better than not to take mail for lack of room.
   * @param append resolves with the segment that the record is in, when it is on stable storage
   */
  async carryOn(segment: number, append: (seen: readonly Seen[]) => Promise<number>): Promise<void> {
    const all = this.#ofSegment(segment);
    try {
      for (let from = 0; from < all.length; from += RECORD_COUNT_MAX) {
        const seen = all.slice(from, from + RECORD_COUNT_MAX);
        const place = await append(seen);
        for (const one of seen) this.note(one, place);
      }
    } catch (error) {
      this.#log.write('queue.carry-failed', { count: all.length, reason: String(error) });
    }
  }

  /** Oldest first, as the ring has them. */
  #ofSegment(segment: number): Seen[] {
    const found: Seen[] = [];
    const count = this.#fingerprints.length;
    for (let i = 0; i < count; i++) {
      const slot = count < this.#countMax ? i : (this.#next + i) % count;
      if (this.#segments[slot] !== segment || !this.#holds(slot)) continue;
      found.push({
        fingerprint: this.#fingerprints[slot]!,
        id: this.#ids[slot]!,
        atMs: this.#times[slot]!,
      });
    }
    return found;
  }

  /**
   * Accepts a message by `accept`, which notes it, unless it was accepted before. If the same is under way, waits for
   * that; if that fails, tries this one.
   * @throws whatever `accept` throws, and Error for a fingerprint that is none
   */
  once(fingerprint: Fingerprint, accept: () => Promise<MessageId>): Promise<Accepted> {
    if (fingerprint.length !== FINGERPRINT_LENGTH)
      return Promise.reject(new Error(`Cannot use a fingerprint of ${fingerprint.length} characters`));
    if (this.#countMax === 0) return accept().then(asNew);
    const known = this.#find(fingerprint);
    if (known !== undefined) return Promise.resolve(this.#recognise(known));
    const earlier = this.#underWay.get(fingerprint);
    // Not looked up again if it succeeds: so few may be kept that it is forgotten by then.
    if (earlier !== undefined)
      return earlier.then(
        (id) => this.#recognise(id),
        () => this.once(fingerprint, accept),
      );
    const accepting = accept();
    this.#underWay.set(fingerprint, accepting);
    // The first to hear of it: whoever waits finds it gone.
    return accepting.finally(() => this.#underWay.delete(fingerprint)).then(asNew);
  }

  #find(fingerprint: Fingerprint): MessageId | undefined {
    const slot = this.#slots.get(fingerprint);
    return slot !== undefined && this.#holds(slot) ? this.#ids[slot] : undefined;
  }

  /** Whether the slot is in use and within the window; a clock that was set back changes nothing. */
  #holds(slot: number): boolean {
    const isIt = this.#slots.get(this.#fingerprints[slot]!) === slot;
    return isIt && this.#clock.nowMs() - this.#times[slot]! < this.#windowMs;
  }

  #recognise(id: MessageId): Accepted {
    this.#recognised++;
    return { id, isResubmission: true };
  }
}

function asNew(id: MessageId): Accepted {
  return { id, isResubmission: false };
}
