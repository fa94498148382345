// One attempt at one channel of one message: splits the recipients into units that are delivered independently, collects
// their verdicts and brings them to the queue. The last settlement, and only that, names the time of the next attempt.

import type { DomainMap } from '../core/format/domain-map.ts';
import type { Notification } from '../core/policy/bounce-report.ts';
import { EXPIRED } from '../core/policy/bounce-status.ts';
import { NOTIFY } from '../core/policy/notification.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { isDying, nextAttemptByMs, nextAttemptMs } from '../core/policy/retry-schedule.ts';
import { type Destination, findDestination, readChosenKey } from '../core/policy/route.ts';
import { expandVerp, isVerp } from '../core/policy/verp.ts';
import type { Job, Queue, Settled, Verdict } from '../queue/queue.ts';

/** Recipients that one transaction may have (RFC 5321 section 4.5.3.1.8 lets every server take so many). */
const RECIPIENTS_MAX = 100;

/** A recipient of a job. */
export type JobRecipient = Job['recipients'][number];

/** What is delivered at once: one local recipient, or recipients of one destination. */
export interface Unit {
  readonly attempt: Attempt;
  /** Undefined for local recipients, and for remote ones without a domain. */
  readonly destination: Destination | undefined;
  readonly sender: Uint8Array;
  readonly recipients: readonly JobRecipient[];
}

/** An outcome after the message's age was considered. */
export interface Judged {
  readonly kind: 'success' | 'deferral' | 'failure';
  readonly text: string;
  /** When it is tried again; for a deferral. */
  readonly nextMs?: number;
}

/** How long, and when, a message is tried. */
export interface RetryPolicy {
  /** Age after which a temporary failure is final, seconds. */
  readonly lifetimeSeconds: number;
  /** Seconds between attempts; undefined for the channel's usual schedule. */
  readonly retrySeconds: readonly number[] | undefined;
}

/** Tells the sender what it asked to be told; rejects if that is not on stable storage. */
export type TellSender = (job: Job, notifications: readonly Notification[], untilMs: number) => Promise<void>;

/** What an attempt works with. */
export interface AttemptSettings {
  readonly queue: Queue;
  /** Age at which a sender that asked for it is told of a delay, seconds; 0 for never. */
  readonly delaywarning: number;
  readonly tell: TellSender;
}

/** A job under way. */
export class Attempt {
  readonly job: Job;
  readonly #policy: RetryPolicy;
  readonly #settings: AttemptSettings;
  #startMs: number;
  #message: Promise<Uint8Array> | undefined;
  #readers = 0;
  #verdicts: Verdict[] = [];
  /** What the sender is to be told before the verdicts are settled. */
  #notifications: Notification[] = [];
  /** Units that have not been judged yet. */
  unitsLeft = 0;
  /** Whether a settlement is being written. */
  settling = false;

  /** @param startMs now; the schedule counts from here, however long the attempt takes */
  constructor(job: Job, startMs: number, policy: RetryPolicy, settings: AttemptSettings) {
    this.job = job;
    this.#startMs = startMs;
    this.#policy = policy;
    this.#settings = settings;
  }

  /** Part of it was cut short, and begins anew: the schedule counts from now. */
  restart(nowMs: number): void {
    this.#startMs = nowMs;
  }

  /** The job's units; remote recipients of one destination share one as far as they have the same sender. */
  split(smtproutes: DomainMap): Unit[] {
    const { channel, recipients, sender } = this.job;
    const units =
      channel === 'local' ? this.#splitLocal() : this.#splitRemote(smtproutes, recipients, sender);
    this.unitsLeft = units.length;
    return units;
  }

  #splitLocal(): Unit[] {
    const { recipients, sender } = this.job;
    return recipients.map((recipient) => ({
      attempt: this,
      destination: undefined,
      sender: expandVerp(sender, recipient.address),
      recipients: [recipient],
    }));
  }

  #splitRemote(smtproutes: DomainMap, recipients: readonly JobRecipient[], sender: Uint8Array): Unit[] {
    const units: Unit[] = [];
    const open = new Map<string, JobRecipient[]>();
    const alone = isVerp(sender);
    const chosen = readChosenKey(this.job.destination);
    for (const recipient of recipients) {
      const destination = chosen ?? findDestination(recipient.address, smtproutes);
      const key = destination?.key ?? '';
      const group = alone ? undefined : open.get(key);
      if (group !== undefined && group.length < RECIPIENTS_MAX) {
        group.push(recipient);
        continue;
      }
      const fresh = [recipient];
      open.set(key, fresh);
      units.push({
        attempt: this,
        destination,
        sender: expandVerp(sender, recipient.address),
        recipients: fresh,
      });
    }
    return units;
  }

  /** The message's bytes, read once for all units that run at a time. @throws SystemError */
  message(): Promise<Uint8Array> {
    this.#message ??= this.#settings.queue.read(this.job.id);
    this.#readers++;
    return this.#message;
  }

  /** One who asked for {@link message} needs it no longer. */
  releaseMessage(): void {
    if (--this.#readers === 0) this.#message = undefined;
  }

  /**
   * Takes the outcome of one recipient; a deferral of a message that is too old is a failure.
   * @param handing what a success amounts to; undefined if the next host tells the sender of it
   */
  judge(recipient: JobRecipient, outcome: Outcome, handing: 'delivered' | 'relayed' | undefined): Judged {
    const { index } = recipient;
    const { text } = outcome;
    if (outcome.letter === 'K') {
      this.#verdicts.push({ index, state: 'done' });
      if (handing !== undefined && isAsked(recipient, NOTIFY.success))
        this.#notifications.push({ ...recipient, action: handing, report: text });
      return { kind: 'success', text };
    }
    const isFinal = isDying(this.job.birthMs, this.#startMs, this.#policy.lifetimeSeconds);
    if (outcome.letter === 'Z' && !isFinal) {
      if (isAsked(recipient, NOTIFY.delay) && this.#isDelayed()) {
        this.#verdicts.push({ index, state: 'warned' });
        this.#notifications.push({ ...recipient, action: 'delayed', report: text });
      }
      return { kind: 'deferral', text, nextMs: this.#nextMs() };
    }
    const report = outcome.letter === 'Z' ? text + EXPIRED : text;
    this.#verdicts.push({ index, state: 'failed', report });
    return { kind: 'failure', text: report };
  }

  #isDelayed(): boolean {
    const { delaywarning } = this.#settings;
    return delaywarning > 0 && this.#startMs - this.job.birthMs >= delaywarning * 1000;
  }

  #nextMs(): number {
    const { birthMs, channel } = this.job;
    const { retrySeconds } = this.#policy;
    return retrySeconds === undefined
      ? nextAttemptMs(birthMs, this.#startMs, channel)
      : nextAttemptByMs(birthMs, this.#startMs, retrySeconds);
  }

  /** Whether there is something to settle: verdicts, or the end of the attempt. */
  get hasNews(): boolean {
    return this.unitsLeft === 0 || this.#verdicts.length > 0;
  }

  /** Tells the sender what it asked for, and brings what was judged so far to the queue; after a failure the same is settled at the next call. */
  async settle(): Promise<Settled & { readonly over: boolean }> {
    const over = this.unitsLeft === 0;
    const verdicts = this.#verdicts;
    this.#verdicts = [];
    const next = over ? this.#nextMs() : undefined;
    try {
      await this.#tellSender();
      return { ...(await this.#settings.queue.settle(this.job, verdicts, next)), over };
    } catch (error) {
      this.#verdicts = [...verdicts, ...this.#verdicts];
      throw error;
    }
  }

  /** Before the verdicts: after a crash in between the sender is told once more, never not at all. */
  async #tellSender(): Promise<void> {
    const notifications = this.#notifications;
    if (notifications.length === 0) return;
    this.#notifications = [];
    try {
      const untilMs = this.job.birthMs + this.#policy.lifetimeSeconds * 1000;
      await this.#settings.tell(this.job, notifications, untilMs);
    } catch (error) {
      this.#notifications = [...notifications, ...this.#notifications];
      throw error;
    }
  }
}

function isAsked({ dsn }: JobRecipient, what: number): boolean {
  return dsn?.notify !== undefined && (dsn.notify & what) !== 0;
}
