// Which delivery runs next: slots, limits and turns. Knows nothing of messages; whoever drives it runs what take() gives.
// Destinations are lanes. A lane waits in the row of its standing, and rows have shares of the slots:
//   good    all slots
//   new     all but a tenth, half of the slots together with silent before the answer; one lane a tenth, or two
//   silent  a quarter of the slots, and one delivery at a time
//   slow    a quarter of the slots
// A delivery without answer is cut short when its patience is over and others wait for its slot. So a lane that answers
// waits for a slot half a second at most, however many others never answer. A delivery that has its answer is never cut:
// shares alone keep hosts that take a message a byte at a time from holding everything. Everything takes constant time,
// save a look at what runs. Times are steady ones: whoever sets the clock changes nothing here.

import type { Clock } from '../host/clock.ts';
import { Turns } from '../queue/turns.ts';
import { Limit, type LimitSettings } from './limit.ts';
import { type Standing, Standings } from './standing.ts';

/** How a delivery ended for its destination: it answered; it did not; its name could not be found out; it was cut short. */
export type Contact = 'answered' | 'none' | 'unresolved' | 'cut';

/** What the scheduler is made of. */
export interface SchedulerSettings {
  /** Deliveries at a time. */
  readonly concurrency: number;
  readonly clock: Clock;
  limitOf(destination: string): LimitSettings;
  /** The group that destinations with that mail exchanger belong to. */
  groupOf(exchanger: string): { readonly name: string; readonly limit: LimitSettings } | undefined;
  /** Longest time that the destination is left alone, ms. */
  backOffMaxMs(destination: string): number;
  /** Whether every destination counts as good. */
  readonly trusting: boolean;
  /** A destination that was not admitted has its turn. */
  resume(destination: string): void;
  /** Time has changed something: take() may give something now. */
  onReady(): void;
}

/** A delivery that runs. */
export interface Ticket {
  readonly destination: string;
  readonly signal: AbortSignal;
}

/** What to run; without a ticket its destination is left alone for now, and it is deferred at once. */
export interface Taken<Unit> {
  readonly unit: Unit;
  readonly ticket: Ticket | undefined;
}

interface Lane<Unit> {
  readonly key: string;
  readonly limit: Limit;
  group: Limit | undefined;
  /** Jobs take turns, so that a long one lets the others through. */
  readonly jobs: Unit[][];
  /** Whether the queue passes it over until resume(). */
  passedOver: boolean;
  timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  /** When a delivery last ended with an answer, steady time. */
  endedMs: number;
}

interface Running<Unit> extends Ticket {
  readonly lane: Lane<Unit>;
  readonly abort: AbortController;
  readonly startMs: number;
  standing: Standing;
  /** When the partner answered, steady time. */
  answeredMs: number | undefined;
  group: Limit | undefined;
}

interface Promised<Unit> {
  readonly lane: Lane<Unit>;
  readonly standing: Standing;
}

const STANDINGS: readonly Standing[] = ['new', 'good', 'silent', 'slow'];
const LOOK_AGAIN_MS = 500;
/** A lane is slow when a delivery has its answer for so long, and none has ended meanwhile. */
const SLOW_MS = 10_000;
const GROUPS_KNOWN_MAX = 100_000;

/** See the head of this file. */
export class Scheduler<Unit> {
  readonly #settings: SchedulerSettings;
  readonly #startMs: number;
  readonly #standings = new Standings();
  readonly #lanes = new Map<string, Lane<Unit>>();
  readonly #rows: Readonly<Record<Standing, Turns<Lane<Unit>>>> = {
    good: new Turns(),
    new: new Turns(),
    silent: new Turns(),
    slow: new Turns(),
  };
  /** Lanes that are left alone: what waits in them is deferred. */
  readonly #alone = new Turns<Lane<Unit>>();
  readonly #groups = new Map<string, Limit>();
  readonly #groupNames = new Map<string, string>();
  readonly #blocked = new Map<Limit, Set<Lane<Unit>>>();
  readonly #running = new Set<Running<Unit>>();
  /** Slots in use or promised, by standing. */
  readonly #slots: Record<Standing, number> = { good: 0, new: 0, silent: 0, slow: 0 };
  /** Those of lanes that are new or silent, and have no answer yet. */
  #unanswered = 0;
  readonly #promised: Promised<Unit>[] = [];
  #turn = 0;
  #stopped = false;
  #cutting = 0;
  #stopWatch: (() => void) | undefined;

  constructor(settings: SchedulerSettings) {
    this.#settings = settings;
    this.#startMs = settings.clock.steadyMs();
  }

  /** Slots that are neither in use nor promised. */
  get free(): number {
    const { good, new: fresh, silent, slow } = this.#slots;
    return this.#settings.concurrency - good - fresh - silent - slow;
  }

  /** Deliveries under way. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Whether a job of the destination may be claimed: then a slot is promised to it until {@link endClaim}.
   * @param isFresh whether it has new mail, and jumps the row if it has to wait
   */
  admit(destination: string, isFresh: boolean): boolean {
    const lane = this.#lane(destination);
    if (this.#standings.isLeftAlone(destination, this.#settings.clock.steadyMs())) return true;
    const standing = this.#standing(lane);
    if (this.#opensMs(lane) <= this.#settings.clock.steadyMs() && this.#hasRoom(standing)) {
      this.#promised.push({ lane, standing });
      this.#occupy(standing, 1);
      lane.limit.running++;
      return true;
    }
    lane.passedOver = true;
    this.#update(lane, isFresh);
    return false;
  }

  /** Takes back what was promised and not redeemed. */
  endClaim(): void {
    for (const promise of this.#promised.splice(0)) this.#release(promise);
  }

  #release({ lane, standing }: Promised<Unit>): void {
    this.#occupy(standing, -1);
    lane.limit.running--;
    this.#update(lane);
  }

  /** Counts slots of deliveries without answer. */
  #occupy(standing: Standing, count: number): void {
    this.#slots[standing] += count;
    if (isUntried(standing)) this.#unanswered += count;
  }

  /** Adds the work of a job; gives what may run at once on a slot that was promised to the destination. */
  add(destination: string, units: readonly Unit[]): Taken<Unit> | undefined {
    if (units.length === 0) return undefined;
    const lane = this.#lane(destination);
    lane.jobs.push([...units].reverse());
    const at = this.#promised.findIndex((promise) => promise.lane === lane);
    const [promise] = at < 0 ? [] : this.#promised.splice(at, 1);
    this.#update(lane);
    if (promise === undefined) return undefined;
    this.#release(promise);
    // Another job of the same claim may have used up the rate.
    if (this.#opensMs(lane) > this.#settings.clock.steadyMs()) return undefined;
    const unit = this.#shift(lane);
    return unit && { unit, ticket: this.#begin(lane, promise.standing) };
  }

  /**
   * Takes what may run now; {@link done} must be called when it has, if it has a ticket. A destination that was passed
   * over is resumed when it is its turn: then the queue may have something due.
   */
  take(): Taken<Unit> | 'resumed' | undefined {
    for (let lane = this.#alone.take(); lane !== undefined; lane = this.#alone.take()) {
      const unit = this.#shift(lane);
      if (unit === undefined) this.#resume(lane);
      this.#update(lane);
      if (unit !== undefined) return { unit, ticket: undefined };
    }
    for (let tries = 0; tries < STANDINGS.length; tries++) {
      const standing = STANDINGS[this.#turn]!;
      this.#turn = (this.#turn + 1) % STANDINGS.length;
      const lane = this.#hasRoom(standing) ? this.#rows[standing].take() : undefined;
      if (lane === undefined) continue;
      const unit = this.#shift(lane);
      if (unit !== undefined) return { unit, ticket: this.#begin(lane, standing) };
      this.#resume(lane);
      return 'resumed';
    }
    this.#watch();
    return undefined;
  }

  /**
   * The partner answers; from now on the delivery is not cut short.
   * @returns whether that may have made room for others
   */
  answered(ticket: Ticket, exchanger?: string): boolean {
    const running = ticket as Running<Unit>;
    if (running.answeredMs !== undefined) return false;
    if (running.signal.aborted) this.#cutting--;
    running.answeredMs = this.#settings.clock.steadyMs();
    const { lane } = running;
    if (exchanger !== undefined) this.#join(running, exchanger);
    const isNews = isUntried(running.standing) && this.#running.has(running);
    if (isNews) {
      this.#unanswered--;
      this.#count(running, 'new');
    }
    if (this.#standings.answered(lane.key) || isNews) this.#update(lane);
    return isNews;
  }

  #count(running: Running<Unit>, standing: Standing): void {
    this.#slots[running.standing]--;
    running.standing = standing;
    this.#slots[standing]++;
  }

  /** A delivery has ended. @returns whether it is to be tried again, since it was cut short and that is the first time */
  done(ticket: Ticket, contact: Contact): boolean {
    const running = ticket as Running<Unit>;
    const { lane, group } = running;
    const nowMs = this.#settings.clock.steadyMs();
    this.#running.delete(running);
    if (running.answeredMs === undefined) this.#occupy(running.standing, -1);
    else this.#slots[running.standing]--;
    lane.limit.end();
    group?.end();
    if (running.signal.aborted && running.answeredMs === undefined) {
      this.#cutting--;
      // Whoever is next to be cut may be so at once.
      this.#stopWatch?.();
      this.#stopWatch = undefined;
    }
    let again = false;
    if (contact === 'answered') {
      if (!this.#isLate(running, nowMs)) this.#standings.took(lane.key, 'good');
      else if (nowMs - lane.endedMs >= SLOW_MS) this.#standings.took(lane.key, 'slow');
      lane.endedMs = nowMs;
    } else if (contact === 'cut' && !this.#standings.cut(lane.key)) {
      again = true;
    } else {
      const backOffMaxMs = contact === 'unresolved' ? 0 : this.#settings.backOffMaxMs(lane.key);
      this.#standings.failed(lane.key, nowMs, backOffMaxMs);
    }
    this.#update(lane);
    if (group !== undefined) this.#unblock(group, 1);
    return again;
  }

  /** Limits have changed. */
  reload(): void {
    for (const lane of this.#lanes.values()) lane.limit.settings = this.#settings.limitOf(lane.key);
    for (const group of this.#groups.values()) this.#unblock(group, Number.POSITIVE_INFINITY);
    this.#groups.clear();
    this.#groupNames.clear();
    for (const lane of [...this.#lanes.values()]) {
      lane.group = undefined;
      this.#update(lane);
    }
  }

  /** Lets go of timers and of deliveries without answer; nothing is taken any more. */
  stop(): void {
    this.#stopped = true;
    for (const { abort, answeredMs } of this.#running) if (answeredMs === undefined) abort.abort();
    this.#stopWatch?.();
    for (const { timer } of this.#lanes.values()) timer?.cancel();
  }

  #lane(key: string): Lane<Unit> {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      const name = this.#groupNames.get(key);
      lane = {
        key,
        limit: new Limit(this.#settings.limitOf(key), this.#startMs),
        group: name === undefined ? undefined : this.#groups.get(name),
        jobs: [],
        passedOver: false,
        timer: undefined,
        endedMs: Number.NEGATIVE_INFINITY,
      };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #standing({ key }: Lane<Unit>): Standing {
    return this.#settings.trusting ? 'good' : this.#standings.of(key);
  }

  #hasRoom(standing: Standing): boolean {
    if (standing === 'good') return this.free > 0;
    if (this.free <= this.#tenth) return false;
    const { concurrency } = this.#settings;
    if (isUntried(standing) && this.#unanswered >= Math.max(1, Math.floor(concurrency / 2))) return false;
    return standing === 'new' || this.#slots[standing] < Math.max(1, Math.floor(concurrency / 4));
  }

  /** What lanes that took nothing in good time so far leave to the others. */
  get #tenth(): number {
    const { concurrency } = this.#settings;
    return concurrency < 4 ? 0 : Math.max(1, Math.floor(concurrency / 10));
  }

  /** Deliveries that a lane may have at a time, whatever its own limit is. */
  #runningMax(standing: Standing): number {
    if (standing === 'silent') return 1;
    return standing === 'new' ? Math.max(2, this.#tenth) : Number.POSITIVE_INFINITY;
  }

  #opensMs(lane: Lane<Unit>): number {
    if (lane.limit.running >= this.#runningMax(this.#standing(lane))) return Number.POSITIVE_INFINITY;
    return Math.max(lane.limit.opensMs, lane.group?.opensMs ?? 0);
  }

  /** Puts a lane where it belongs after a change. */
  #update(lane: Lane<Unit>, fresh = false): void {
    const nowMs = this.#settings.clock.steadyMs();
    const waits = lane.jobs.length > 0 || lane.passedOver;
    const isAlone = this.#standings.isLeftAlone(lane.key, nowMs);
    const opensMs = this.#opensMs(lane);
    const isReady = waits && !isAlone && opensMs <= nowMs;
    const standing = this.#standing(lane);
    for (const one of STANDINGS) {
      if (isReady && one === standing) this.#rows[one].add(lane, fresh);
      else this.#rows[one].delete(lane);
    }
    if (waits && isAlone) this.#alone.add(lane);
    else this.#alone.delete(lane);
    if (waits && !isAlone && !isReady) this.#awaitOpening(lane, opensMs);
    if (!waits && lane.limit.isIdle(nowMs) && this.#lanes.get(lane.key) === lane)
      this.#lanes.delete(lane.key);
  }

  #awaitOpening(lane: Lane<Unit>, opensMs: number): void {
    const { clock, onReady } = this.#settings;
    if (lane.group !== undefined && lane.group.opensMs > clock.steadyMs()) {
      const blocked = this.#blocked.get(lane.group) ?? new Set();
      this.#blocked.set(lane.group, blocked.add(lane));
    }
    if (this.#stopped || opensMs === Number.POSITIVE_INFINITY || lane.timer?.atMs === opensMs) return;
    lane.timer?.cancel();
    const cancel = clock.after(opensMs - clock.steadyMs(), () => {
      lane.timer = undefined;
      this.#update(lane);
      onReady();
    });
    lane.timer = { atMs: opensMs, cancel };
  }

  #shift(lane: Lane<Unit>): Unit | undefined {
    const job = lane.jobs.shift();
    const unit = job?.pop();
    if (job !== undefined && job.length > 0) lane.jobs.push(job);
    return unit;
  }

  #resume(lane: Lane<Unit>): void {
    lane.passedOver = false;
    this.#settings.resume(lane.key);
    this.#update(lane);
  }

  #begin(lane: Lane<Unit>, standing: Standing): Ticket {
    const startMs = this.#settings.clock.steadyMs();
    const abort = new AbortController();
    const { group, key: destination } = lane;
    const { signal } = abort;
    const running = { destination, lane, abort, signal, startMs, standing, answeredMs: undefined, group };
    this.#running.add(running);
    this.#occupy(standing, 1);
    lane.limit.begin(startMs);
    group?.begin(startMs);
    this.#update(lane);
    return running;
  }

  /** The destination turned out to belong to a group: this delivery counts there, and so do the next ones. */
  #join(running: Running<Unit>, exchanger: string): void {
    const found = this.#settings.groupOf(exchanger);
    const { lane } = running;
    const group = found && (this.#groups.get(found.name) ?? new Limit(found.limit, this.#startMs));
    lane.group = group;
    if (found === undefined || group === undefined) {
      this.#groupNames.delete(lane.key);
      return;
    }
    this.#groups.set(found.name, group);
    if (this.#groupNames.size >= GROUPS_KNOWN_MAX) this.#groupNames.clear();
    this.#groupNames.set(lane.key, found.name);
    if (running.group === group || !this.#running.has(running)) return;
    running.group?.end();
    running.group = group;
    group.begin(this.#settings.clock.steadyMs());
  }

  #unblock(group: Limit, count: number): void {
    const blocked = this.#blocked.get(group);
    let left = count;
    for (const lane of blocked ?? []) {
      if (left-- <= 0) return;
      blocked?.delete(lane);
      this.#update(lane);
    }
    this.#blocked.delete(group);
  }

  /** As long as others wait for slots: sees who is slow, and cuts short deliveries without answer. */
  #watch(): void {
    if (this.#stopWatch !== undefined || this.#stopped || this.#settings.trusting) return;
    if (STANDINGS.every((standing) => this.#rows[standing].size === 0)) return;
    const nowMs = this.#settings.clock.steadyMs();
    const nextMs = Math.min(this.#seeSlow(nowMs), this.#cutOne(nowMs));
    const waitMs = Math.max(nextMs - nowMs, 1);
    this.#stopWatch = this.#settings.clock.after(waitMs, () => {
      this.#stopWatch = undefined;
      this.#watch();
    });
  }

  /** Whether it has its answer for a long time. */
  #isLate({ answeredMs }: Running<Unit>, nowMs: number): boolean {
    return answeredMs !== undefined && nowMs - answeredMs >= SLOW_MS;
  }

  /** Counts what is late as slow. @returns when to look again */
  #seeSlow(nowMs: number): number {
    for (const running of this.#running) {
      const { lane, standing } = running;
      const isSlow = this.#isLate(running, nowMs) && nowMs - lane.endedMs >= SLOW_MS;
      if (!isSlow || standing === 'slow') continue;
      this.#count(running, 'slow');
      this.#standings.took(lane.key, 'slow');
      this.#update(lane);
    }
    return nowMs + LOOK_AGAIN_MS;
  }

  /** Cuts the first delivery whose patience is over. @returns when to look again */
  #cutOne(nowMs: number): number {
    let nextMs = nowMs + LOOK_AGAIN_MS;
    if (this.#cutting > 0) return nextMs;
    for (const running of this.#running) {
      if (running.answeredMs !== undefined || !this.#isInTheWay(running)) continue;
      const endMs = running.startMs + this.#standings.patienceMs(running.lane.key);
      if (endMs > nowMs) {
        nextMs = Math.min(nextMs, endMs);
        continue;
      }
      this.#cutting++;
      running.abort.abort();
      return nextMs;
    }
    return nextMs;
  }

  /** Whether another lane waits for the slot that it holds. */
  #isInTheWay({ lane, standing }: Running<Unit>): boolean {
    const isRival = (row: Turns<Lane<Unit>>) => row.size > 1 || (row.size === 1 && row.first() !== lane);
    const { good, new: fresh, silent, slow } = this.#rows;
    if (standing === 'silent' && isRival(silent)) return true;
    if (standing === 'slow' && isRival(slow)) return true;
    if (isRival(fresh) && (isUntried(standing) || this.free <= this.#tenth)) return true;
    return this.free <= 0 && isRival(good);
  }
}

function isUntried(standing: Standing): boolean {
  return standing === 'new' || standing === 'silent';
}
