// What a channel has to do, by destination: which destination has its turn, and what of it is due first. Shared by the
// stores. A destination is in one place at a time: asleep (in the heap, until its first job is due), in line, passed over
// (until resume() or new mail), or being asked for (its jobs are on their way from the index).
// Costs O(log n) per job; nothing ever walks over the jobs of a destination that is passed over.

import { type DueEntry, DueHeap } from './due-heap.ts';
import type { Admit, Job, MessageId } from './queue.ts';
import { Turns } from './turns.ts';

/** The next thing to hand out: a message in memory, a job that came from the index, or jobs to ask the index for. */
export type NextJob =
  | { readonly from: 'memory'; readonly destination: string; readonly id: MessageId }
  | { readonly from: 'fetched'; readonly job: Job }
  | { readonly from: 'index'; readonly destination: string; readonly untilMs: number };

interface Destination {
  readonly key: string;
  readonly serial: number;
  /** Messages in memory; entries may be out of date. */
  readonly memory: DueHeap;
  /** Earliest of what is only in the index. */
  indexDueMs: number | undefined;
  /** Handed out by the index, not by us yet. */
  fetched: Job[];
  state: 'asleep' | 'in-line' | 'passed-over' | 'asked';
  /** When it wakes up, if asleep. */
  wakesMs: number;
  /** Whether it got new mail since it last had its turn. */
  isFresh: boolean;
}

interface Alarm extends DueEntry {
  readonly destination: Destination;
}

/** One channel's destinations with something waiting. */
export class Agenda {
  readonly #holds: (entry: DueEntry, destination: string) => boolean;
  readonly #destinations = new Map<string, Destination>();
  readonly #asleep = new DueHeap<Alarm>();
  readonly #line = new Turns<Destination>();
  #nextSerial = 0;

  /** @param holds whether that message still waits for that destination at that time; asked when it comes up */
  constructor(holds: (entry: DueEntry, destination: string) => boolean) {
    this.#holds = holds;
  }

  /** A message in memory waits; `fresh` if it was just accepted. */
  add(destination: string, entry: DueEntry, fresh: boolean): void {
    const found = this.#get(destination);
    found.memory.push(entry);
    if (fresh && found.state === 'passed-over') found.state = 'asleep';
    found.isFresh ||= fresh;
    this.#place(found, fresh);
  }

  /** What the index has for the destination that is not handed out; undefined for nothing. */
  setIndexDue(destination: string, dueMs: number | undefined): void {
    if (dueMs === undefined && !this.#destinations.has(destination)) return;
    const found = this.#get(destination);
    found.indexDueMs = dueMs;
    this.#place(found, false);
  }

  /** Jobs that were asked for; they count as due, before everything else of their destination. */
  arrived(destination: string, jobs: readonly Job[]): void {
    const found = this.#get(destination);
    found.fetched = [...found.fetched, ...jobs];
    if (found.state === 'asked') found.state = 'asleep';
    this.#place(found, false);
  }

  /** A job of the message that came from the index is not handed out any more. @returns whether there was one */
  forget(destination: string, id: MessageId): boolean {
    const found = this.#destinations.get(destination);
    const at = found?.fetched.findIndex((job) => job.id === id) ?? -1;
    if (at >= 0) found?.fetched.splice(at, 1);
    return at >= 0;
  }

  /** Lets a destination that was passed over have its turns again. */
  resume(destination: string): boolean {
    const found = this.#destinations.get(destination);
    if (found?.state !== 'passed-over') return false;
    found.state = 'asleep';
    this.#place(found, true);
    return true;
  }

  /** The earliest that {@link next} could give, or undefined. */
  nextDueMs(): number | undefined {
    const waiting = this.#line.first();
    const first = waiting && this.#dueMs(waiting);
    // An alarm that does not hold any more is early at worst.
    if (first !== undefined && first <= (this.#asleep.first()?.dueMs ?? first)) return first;
    const alarm = this.#firstAlarm()?.dueMs;
    if (waiting !== undefined && first === undefined) {
      this.#line.delete(waiting);
      waiting.state = 'asleep';
      this.#place(waiting, false);
      return this.nextDueMs();
    }
    return first === undefined || alarm === undefined ? (first ?? alarm) : Math.min(first, alarm);
  }

  /** Takes the next job that is due, of the destination whose turn it is; one that is not admitted is passed over. */
  next(nowMs: number, admit: Admit): NextJob | undefined {
    for (let alarm = this.#firstAlarm(); alarm !== undefined; alarm = this.#firstAlarm()) {
      if (alarm.dueMs > nowMs) break;
      this.#asleep.pop();
      this.#enqueue(alarm.destination, false);
    }
    for (let found = this.#line.take(); found !== undefined; found = this.#line.take()) {
      found.state = 'asleep';
      const { isFresh } = found;
      found.isFresh = false;
      const dueMs = this.#dueMs(found);
      if (dueMs === undefined || dueMs > nowMs) {
        this.#place(found, false);
      } else if (!admit(found.key, isFresh)) {
        found.state = 'passed-over';
      } else {
        const next = this.#take(found, nowMs);
        if (next.from === 'index') found.state = 'asked';
        const left = this.#dueMs(found);
        if (left !== undefined && left <= nowMs && next.from !== 'index') this.#enqueue(found, false);
        else this.#place(found, false);
        return next;
      }
    }
    return undefined;
  }

  #take(found: Destination, nowMs: number): NextJob {
    const job = found.fetched.shift();
    if (job !== undefined) return { from: 'fetched', job };
    const memory = this.#firstInMemory(found);
    const isFirst =
      memory !== undefined && (found.indexDueMs === undefined || memory.dueMs < found.indexDueMs);
    if (!isFirst) {
      const untilMs = Math.min(memory?.dueMs ?? nowMs, nowMs);
      return { from: 'index', destination: found.key, untilMs };
    }
    found.memory.pop();
    return { from: 'memory', destination: found.key, id: memory.id };
  }

  #get(key: string): Destination {
    let found = this.#destinations.get(key);
    if (found === undefined) {
      found = {
        key,
        serial: this.#nextSerial++,
        memory: new DueHeap(),
        indexDueMs: undefined,
        fetched: [],
        state: 'asleep',
        wakesMs: Number.POSITIVE_INFINITY,
        isFresh: false,
      };
      this.#destinations.set(key, found);
    }
    return found;
  }

  /** Puts a destination where it belongs after a change. */
  #place(found: Destination, fresh: boolean): void {
    if (found.state === 'in-line' && fresh) this.#line.add(found, true);
    if (found.state !== 'asleep') return;
    const dueMs = this.#dueMs(found);
    if (dueMs === undefined) {
      this.#destinations.delete(found.key);
      found.wakesMs = Number.POSITIVE_INFINITY;
    } else if (fresh) {
      this.#enqueue(found, true);
    } else if (dueMs !== found.wakesMs) {
      found.wakesMs = dueMs;
      this.#asleep.push({ dueMs, id: found.serial, destination: found });
    }
  }

  #enqueue(found: Destination, fresh: boolean): void {
    found.state = 'in-line';
    found.wakesMs = Number.POSITIVE_INFINITY;
    this.#line.add(found, fresh);
  }

  /** The first alarm that still holds. */
  #firstAlarm(): Alarm | undefined {
    for (;;) {
      const alarm = this.#asleep.first();
      if (alarm === undefined) return undefined;
      const { destination, dueMs } = alarm;
      const holds = destination.state === 'asleep' && destination.wakesMs === dueMs;
      if (holds && this.#dueMs(destination) === dueMs) return alarm;
      this.#asleep.pop();
      if (!holds) continue;
      destination.wakesMs = Number.POSITIVE_INFINITY;
      this.#place(destination, false);
    }
  }

  #firstInMemory(found: Destination): DueEntry | undefined {
    for (;;) {
      const first = found.memory.first();
      if (first === undefined || this.#holds(first, found.key)) return first;
      found.memory.pop();
    }
  }

  #dueMs(found: Destination): number | undefined {
    if (found.fetched.length > 0) return found.fetched[0]!.dueMs;
    const memory = this.#firstInMemory(found)?.dueMs;
    const { indexDueMs } = found;
    return memory === undefined || indexDueMs === undefined
      ? (memory ?? indexDueMs)
      : Math.min(memory, indexDueMs);
  }
}
