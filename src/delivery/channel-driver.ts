// Keeps one channel of deliveries going: claims jobs that are due, runs their units within the limits, brings verdicts to
// the queue. Wakes up when the queue says so, when a unit ends, and by one timer for whatever is due next.

import type { DomainMap } from '../core/format/domain-map.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { NO_DOMAIN } from '../core/policy/smtp-report.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { Channel, Job, Queue, Settled } from '../queue/queue.ts';
import { Attempt, type Judged, type Unit } from './attempt.ts';
import { Lanes } from './lanes.ts';

/** How long to wait after the queue itself failed, ms. */
export const TROUBLE_RETRY_MS = 123_000;

/** What a channel is made of. */
export interface ChannelSettings {
  readonly channel: Channel;
  readonly queue: Queue;
  readonly clock: Clock;
  readonly log: Log;
  /** Units that run at a time; 0 holds the channel. */
  readonly concurrency: number;
  /** Units to one destination at a time, unless it is a route's relay. */
  readonly perDestination: number;
  readonly lifetimeSeconds: number;
  readonly smtproutes: DomainMap;
  /** Delivers a unit's message; outcomes in the order of its recipients. */
  readonly run: (unit: Unit, message: Uint8Array) => Promise<readonly Outcome[]>;
  /** Called when no recipient of the message is left; the message has failures. */
  readonly onFinished: (job: Job, settled: Settled) => void;
}

// Jobs in memory per unit that may run: enough to find other work when a destination's lane is full.
const JOBS_PER_SLOT = { local: 10, remote: 50 };
const JOBS_MAX = 1000;
// A queue that promises a job and then has none is asked again after this time, not in a circle.
const NOTHING_DUE_MS = 1000;

/** One channel; see {@link ChannelSettings}. */
export class ChannelDriver {
  readonly #settings: ChannelSettings;
  readonly #lanes = new Lanes<Unit>();
  readonly #retries = new Set<() => void>();
  readonly #jobsMax: number;
  #jobs = 0;
  #running = 0;
  #settling = 0;
  #claiming = false;
  #wokenMeanwhile = false;
  #stopped = false;
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #onIdle: (() => void) | undefined;

  constructor(settings: ChannelSettings) {
    this.#settings = settings;
    this.#jobsMax = Math.min(settings.concurrency * JOBS_PER_SLOT[settings.channel], JOBS_MAX);
  }

  /** Does whatever can be done now. Cheap when there is nothing. */
  wake(): void {
    if (this.#stopped) return;
    this.#runUnits();
    // Only when half of the jobs are gone, so that the queue is asked for many at a time.
    if (this.#claiming) this.#wokenMeanwhile = true;
    if (this.#claiming || this.#jobs * 2 > this.#jobsMax || this.#jobsMax === 0) return;
    const dueMs = this.#settings.queue.nextDueMs(this.#settings.channel);
    if (dueMs === undefined) this.#setTimer(undefined);
    else if (dueMs > this.#settings.clock.nowMs()) this.#setTimer(dueMs);
    else void this.#claim();
  }

  /** Starts nothing any more; resolves when what runs has ended and its verdicts are on disk. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#setTimer(undefined);
    for (const cancel of this.#retries) cancel();
    this.#retries.clear();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  async #claim(): Promise<void> {
    const { queue, clock, channel, lifetimeSeconds, smtproutes } = this.#settings;
    this.#claiming = true;
    this.#wokenMeanwhile = false;
    const startMs = clock.nowMs();
    let jobs: Job[] = [];
    let failed = false;
    try {
      jobs = await queue.claim(channel, startMs, this.#jobsMax - this.#jobs);
    } catch (error) {
      failed = true;
      this.#logTrouble('claim', undefined, error);
    }
    this.#claiming = false;
    this.#jobs += jobs.length;
    for (const job of jobs) {
      const attempt = new Attempt(job, queue, startMs, lifetimeSeconds);
      for (const unit of attempt.split(smtproutes)) this.#lanes.add(laneOf(unit), this.#limitOf(unit), unit);
    }
    if (failed) this.#later(() => this.wake());
    else if (jobs.length > 0 || this.#wokenMeanwhile) this.wake();
    else if (!this.#stopped) this.#setTimer(startMs + NOTHING_DUE_MS);
    this.#checkIdle();
  }

  #limitOf({ destination }: Unit): number {
    const { channel, concurrency, perDestination } = this.#settings;
    return channel === 'local' || destination?.routed === true ? concurrency : perDestination;
  }

  #runUnits(): void {
    while (this.#running < this.#settings.concurrency) {
      const unit = this.#lanes.take();
      if (unit === undefined) return;
      this.#running++;
      void this.#run(unit);
    }
  }

  async #run(unit: Unit): Promise<void> {
    const { clock } = this.#settings;
    const startMs = clock.nowMs();
    const outcomes = await this.#outcomes(unit);
    const ms = clock.nowMs() - startMs;
    for (const [i, recipient] of unit.recipients.entries()) {
      this.#logDelivery(unit, recipient.address, unit.attempt.judge(recipient, outcomes[i]!), ms);
    }
    unit.attempt.unitsLeft--;
    this.#running--;
    this.#lanes.done(laneOf(unit));
    void this.#settle(unit.attempt);
    this.wake();
  }

  /** Never rejects: what goes wrong on our side is temporary. */
  async #outcomes(unit: Unit): Promise<readonly Outcome[]> {
    if (unit.destination === undefined && this.#settings.channel === 'remote') {
      return unit.recipients.map(() => NO_DOMAIN);
    }
    let message: Uint8Array;
    try {
      message = await unit.attempt.message();
    } catch (error) {
      this.#logTrouble('read', unit.attempt.job.id, error);
      return unit.recipients.map(() => ({ letter: 'Z', text: 'Unable to read message. (#4.3.0)\n' }));
    }
    try {
      return await this.#settings.run(unit, message);
    } catch (error) {
      this.#logTrouble('deliver', unit.attempt.job.id, error);
      return unit.recipients.map(() => ({ letter: 'Z', text: 'Delivery stopped unexpectedly. (#4.3.0)\n' }));
    }
  }

  /** Brings verdicts to the queue, one settlement of a job at a time; those that come meanwhile go with the next one. */
  async #settle(attempt: Attempt): Promise<void> {
    if (attempt.settling || !attempt.hasNews) return;
    attempt.settling = true;
    this.#settling++;
    try {
      const settled = await attempt.settle();
      if (settled.over) this.#jobs--;
      if (settled.over && settled.finished && settled.failures.length > 0) {
        this.#settings.onFinished(attempt.job, settled);
      }
      attempt.settling = false;
      if (!settled.over) void this.#settle(attempt);
    } catch (error) {
      this.#logTrouble('settle', attempt.job.id, error);
      attempt.settling = false;
      this.#later(() => void this.#settle(attempt));
    }
    this.#settling--;
    this.wake();
    this.#checkIdle();
  }

  #setTimer(atMs: number | undefined): void {
    if (this.#timer?.atMs === atMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === undefined) return;
    const { clock } = this.#settings;
    const cancel = clock.after(atMs - clock.nowMs(), () => {
      this.#timer = undefined;
      this.wake();
    });
    this.#timer = { atMs, cancel };
  }

  #later(action: () => void): void {
    if (this.#stopped) return;
    const cancel = this.#settings.clock.after(TROUBLE_RETRY_MS, () => {
      this.#retries.delete(cancel);
      action();
    });
    this.#retries.add(cancel);
  }

  #checkIdle(): void {
    if (this.#running === 0 && this.#settling === 0 && !this.#claiming) this.#onIdle?.();
  }

  #logDelivery({ attempt }: Unit, recipient: Uint8Array, { kind, text }: Judged, ms: number): void {
    const { id, channel } = attempt.job;
    this.#settings.log.write(`delivery.${kind}`, { id, channel, recipient, text: oneLine(text), ms });
  }

  #logTrouble(what: string, id: number | undefined, error: unknown): void {
    const text = reasonOf(error);
    this.#settings.log.write('delivery.trouble', { what, id, channel: this.#settings.channel, text });
  }
}

function laneOf({ destination }: Unit): string {
  return destination?.key ?? '';
}

/** A report as one line: LF becomes `/`, as qmail's log has it. */
function oneLine(text: string): Uint8Array {
  return Buffer.from(text.replaceAll('\n', '/'), 'latin1');
}
