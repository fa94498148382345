// Keeps one channel of deliveries going: claims jobs as the scheduler has room for them, runs their units, brings verdicts
// to the queue. Wakes up when the queue says so, when a unit ends, and by one timer for whatever is due next.

import type { DomainMap } from '../core/format/domain-map.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Destination } from '../core/policy/route.ts';
import { NO_CONNECTION, NO_DOMAIN } from '../core/policy/smtp-report.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { Channel, Job, Queue, Settled } from '../queue/queue.ts';
import { Attempt, type AttemptSettings, type JobRecipient, type RetryPolicy, type Unit } from './attempt.ts';
import { type Contact, Scheduler, type SchedulerSettings, type Taken, type Ticket } from './scheduler.ts';
import type { Via } from './transport.ts';

/** How long to wait after the queue itself failed, ms. */
export const TROUBLE_RETRY_MS = 123_000;

/** What became of a unit: outcomes in the order of its recipients, and whether its destination answered. */
export interface UnitResult {
  readonly outcomes: readonly Outcome[];
  readonly contact: Contact;
  readonly via?: Via;
  /** Whether the next host tells the sender of successes. */
  readonly passedOn?: boolean;
}

/** Delivers a unit's message. `onAnswer` is to be called when the partner answers. */
export type RunUnit = (
  unit: Unit,
  message: Uint8Array,
  signal: AbortSignal,
  onAnswer: (exchanger?: string) => void,
) => Promise<UnitResult>;

/** What a channel is made of. */
export interface ChannelSettings
  extends Pick<
      SchedulerSettings,
      'concurrency' | 'limitOf' | 'groupOf' | 'backOffMaxMs' | 'trusting' | 'clock'
    >,
    Pick<AttemptSettings, 'delaywarning' | 'tell'> {
  readonly channel: Channel;
  readonly queue: Queue;
  readonly log: Log;
  /** As they are now. */
  readonly smtproutes: () => DomainMap;
  readonly retryOf: (destination: string) => RetryPolicy;
  readonly run: RunUnit;
  /** Called when no recipient of the message is left; the message has failures. */
  readonly onFinished: (job: Job, settled: Settled) => void;
}

// A queue that promises a job and then has none is asked again after this time, not in a circle.
const NOTHING_DUE_MS = 1000;
// Deferring takes no time, writing it down does: nothing is claimed while so many verdicts wait for the disk.
const SETTLING_MAX = 500;
const TIMER_PRECISION_MS = 1000;

/** One channel; see {@link ChannelSettings}. */
export class ChannelDriver {
  readonly #settings: ChannelSettings;
  readonly #scheduler: Scheduler<Unit>;
  readonly #retries = new Set<() => void>();
  /** Units that were begun, cut short, and wait to begin anew. */
  readonly #cut = new Set<Unit>();
  #settling = 0;
  #claiming = false;
  /** Whether something was said to have changed since the last claim began. */
  #woken = false;
  #stopped = false;
  #timer: { readonly atMs: number; readonly steadyMs: number; readonly cancel: () => void } | undefined;
  #onIdle: (() => void) | undefined;

  /** @param settings with concurrency 0 the channel is held */
  constructor(settings: ChannelSettings) {
    this.#settings = settings;
    this.#scheduler = new Scheduler({
      ...settings,
      resume: (destination) => settings.queue.resume(settings.channel, destination),
      onReady: () => this.wake(),
    });
  }

  /** Deliveries under way. */
  get running(): number {
    return this.#scheduler.running;
  }

  /** Does whatever can be done now. Cheap when there is nothing. */
  wake(): void {
    const { queue, channel, clock, concurrency } = this.#settings;
    this.#woken = true;
    while (!this.#stopped && !this.#claiming && concurrency > 0) {
      const taken = this.#scheduler.take();
      if (typeof taken === 'object') {
        void this.#run(taken);
        continue;
      }
      const dueMs = queue.nextDueMs(channel);
      const isDue = dueMs !== undefined && dueMs <= clock.nowMs();
      // Without a free slot as well: then the scheduler learns who waits.
      if (isDue && this.#settling < SETTLING_MAX) void this.#claim(Math.max(this.#scheduler.free, 1));
      else if (taken === undefined) {
        this.#setTimer(isDue ? undefined : dueMs);
        return;
      }
    }
  }

  /** Limits have changed. */
  reload(): void {
    this.#scheduler.reload();
    this.wake();
  }

  /** Starts nothing any more; resolves when what runs has ended and its verdicts are on disk. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#setTimer(undefined);
    this.#scheduler.stop();
    for (const cancel of this.#retries) cancel();
    this.#retries.clear();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  async #claim(limit: number): Promise<void> {
    const { queue, clock, channel, retryOf, smtproutes } = this.#settings;
    this.#claiming = true;
    this.#woken = false;
    const startMs = clock.nowMs();
    let jobs: Job[] | undefined;
    try {
      jobs = await queue.claim(channel, startMs, limit, (destination, isFresh) =>
        this.#scheduler.admit(destination, isFresh),
      );
    } catch (error) {
      this.#logTrouble('claim', undefined, error);
    }
    // What comes after stop() stays as it is in the queue.
    for (const job of this.#stopped ? [] : (jobs ?? [])) {
      const attempt = new Attempt(job, startMs, retryOf(job.destination), this.#settings);
      for (const [lane, units] of byLane(attempt.split(smtproutes()))) {
        const taken = this.#scheduler.add(lane, units);
        if (taken !== undefined) void this.#run(taken);
      }
    }
    this.#scheduler.endClaim();
    const isDue = (queue.nextDueMs(channel) ?? Number.POSITIVE_INFINITY) <= startMs;
    if (jobs === undefined) this.#later(TROUBLE_RETRY_MS, () => this.#endClaiming());
    else if (jobs.length === 0 && isDue && !this.#woken)
      this.#later(NOTHING_DUE_MS, () => this.#endClaiming());
    else this.#endClaiming();
  }

  #endClaiming(): void {
    this.#claiming = false;
    this.wake();
    this.#checkIdle();
  }

  async #run({ unit, ticket }: Taken<Unit>): Promise<void> {
    const { clock } = this.#settings;
    const startMs = clock.steadyMs();
    if (!this.#cut.delete(unit)) this.#logStart(unit);
    const result = await this.#result(unit, ticket);
    const isCut = ticket !== undefined && this.#scheduler.done(ticket, result.contact);
    if (isCut) {
      this.#cut.add(unit);
      unit.attempt.restart(clock.nowMs());
      this.#scheduler.add(laneOf(unit.destination), [unit]);
    } else {
      const ms = Math.round(clock.steadyMs() - startMs);
      for (const [i, recipient] of unit.recipients.entries())
        this.#logDelivery(unit, recipient, { ...result, outcome: result.outcomes[i]!, ms });
      unit.attempt.unitsLeft--;
      void this.#settle(unit.attempt);
    }
    this.wake();
    this.#checkIdle();
  }

  /** Never rejects: what goes wrong on our side is temporary. */
  async #result(unit: Unit, ticket: Ticket | undefined): Promise<UnitResult> {
    const { channel, run } = this.#settings;
    const { attempt } = unit;
    if (ticket === undefined) return sameFor(unit, NO_CONNECTION);
    if (unit.destination === undefined && channel === 'remote') return sameFor(unit, NO_DOMAIN);
    let message: Uint8Array;
    try {
      message = await attempt.message();
    } catch (error) {
      attempt.releaseMessage();
      this.#logTrouble('read', attempt.job.id, error);
      return sameFor(unit, { letter: 'Z', text: 'Unable to read message. (#4.3.0)\n' });
    }
    try {
      return await run(unit, message, ticket.signal, (exchanger) => {
        if (this.#scheduler.answered(ticket, exchanger)) this.wake();
      });
    } catch (error) {
      this.#logTrouble('deliver', attempt.job.id, error);
      return sameFor(unit, { letter: 'Z', text: 'Delivery stopped unexpectedly. (#4.3.0)\n' });
    } finally {
      attempt.releaseMessage();
    }
  }

  /** Brings verdicts to the queue, one settlement of a job at a time; those that come meanwhile go with the next one. */
  async #settle(attempt: Attempt): Promise<void> {
    if (attempt.settling || !attempt.hasNews) return;
    attempt.settling = true;
    this.#settling++;
    try {
      const settled = await attempt.settle();
      if (settled.over && settled.finished) {
        if (settled.failures.length > 0) this.#settings.onFinished(attempt.job, settled);
        else this.#settings.log.write('message.end', { id: attempt.job.id });
      }
      attempt.settling = false;
      if (!settled.over) void this.#settle(attempt);
    } catch (error) {
      this.#logTrouble('settle', attempt.job.id, error);
      attempt.settling = false;
      this.#later(TROUBLE_RETRY_MS, () => void this.#settle(attempt));
    }
    if (this.#settling-- === SETTLING_MAX) this.wake();
    this.#checkIdle();
  }

  #setTimer(atMs: number | undefined): void {
    const { clock } = this.#settings;
    const delayMs = atMs === undefined ? 0 : atMs - clock.nowMs();
    const steadyMs = clock.steadyMs() + delayMs;
    // Somebody may have set the clock: then the same time is another one for a timer.
    const isSame =
      this.#timer !== undefined && Math.abs(this.#timer.steadyMs - steadyMs) < TIMER_PRECISION_MS;
    if (this.#timer?.atMs === atMs && (atMs === undefined || isSame)) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === undefined) return;
    const cancel = clock.after(delayMs, () => {
      this.#timer = undefined;
      this.wake();
    });
    this.#timer = { atMs, steadyMs, cancel };
  }

  #later(delayMs: number, action: () => void): void {
    if (this.#stopped) return;
    const cancel = this.#settings.clock.after(delayMs, () => {
      this.#retries.delete(cancel);
      action();
    });
    this.#retries.add(cancel);
  }

  #checkIdle(): void {
    if (this.#stopped && this.#scheduler.running === 0 && this.#settling === 0) this.#onIdle?.();
  }

  #logStart({ attempt, recipients }: Unit): void {
    const { id, channel } = attempt.job;
    for (const { address } of recipients)
      this.#settings.log.write('delivery.start', { id, channel, recipient: address });
  }

  #logDelivery(
    { attempt, destination }: Unit,
    recipient: JobRecipient,
    { outcome, via, ms, passedOn }: { outcome: Outcome; via?: Via; ms: number; passedOn?: boolean },
  ): void {
    const { id, channel } = attempt.job;
    const isHome = channel === 'local' || destination?.protocol === 'lmtp';
    const handing = passedOn === true ? undefined : isHome ? 'delivered' : 'relayed';
    const { kind, text, nextMs } = attempt.judge(recipient, outcome, handing);
    this.#settings.log.write(`delivery.${kind}`, {
      ...{ id, channel, recipient: recipient.address, text: oneLine(text), ms },
      ...{ host: via?.host, tls: via?.tls },
      unknown: outcome.isUnknown && 'may arrive twice',
      next: nextMs === undefined ? undefined : new Date(nextMs).toISOString(),
    });
  }

  #logTrouble(what: string, id: number | undefined, error: unknown): void {
    const text = reasonOf(error);
    this.#settings.log.write('delivery.trouble', { what, id, channel: this.#settings.channel, text });
  }
}

/** The units of a job by destination; it is one, unless the routes have changed since the job was stored. */
function byLane(units: readonly Unit[]): Map<string, Unit[]> {
  const lanes = new Map<string, Unit[]>();
  for (const unit of units) {
    const lane = laneOf(unit.destination);
    const others = lanes.get(lane);
    if (others === undefined) lanes.set(lane, [unit]);
    else others.push(unit);
  }
  return lanes;
}

function laneOf(destination: Destination | undefined): string {
  return destination?.key ?? '';
}

function sameFor(unit: Unit, outcome: Outcome): UnitResult {
  return { outcomes: unit.recipients.map(() => outcome), contact: 'answered' };
}

/** A report as one line: LF becomes `/`, as qmail's log has it. */
function oneLine(text: string): Uint8Array {
  return Buffer.from(text.replaceAll('\n', '/'), 'latin1');
}
