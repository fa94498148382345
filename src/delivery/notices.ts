// Makes the notices that senders get and puts them into the queue: of failure in the format that control/bounceformat says,
// of success and delay on request.

import { randomBytes } from 'node:crypto';
import { bytesOf } from '../core/bytes/bytes.ts';
import { formatDate } from '../core/message/date.ts';
import { MessageIdProbe } from '../core/message/message-id-probe.ts';
import { type BounceControls, type BouncePlan, formatBounce, planBounce } from '../core/policy/bounce.ts';
import {
  formatDigest,
  formatFailureReport,
  formatNotification,
  type Notification,
} from '../core/policy/bounce-report.ts';
import { classifyRecipient, type RecipientControls } from '../core/policy/recipient.ts';
import { isVerp } from '../core/policy/verp.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import type { FinishedMessage, Job, MessageId, Queue } from '../queue/queue.ts';

/** How notices look. */
export interface NoticePolicy extends BounceControls {
  /** Reports for programs and people, or as qmail-send writes them. */
  readonly bounceformat: 'report' | 'qmail';
  /** A report returns of a longer message only the header. */
  readonly bouncemaxbytes: number;
}

/** A message about another one. */
export interface Notice {
  readonly plan: Pick<BouncePlan, 'sender' | 'recipient'>;
  /** Its bytes, one piece after the other. */
  readonly parts: readonly Uint8Array[];
}

/** Queues a notice; rejects if it is not on stable storage. */
export type SubmitBounce = (notice: Notice) => Promise<MessageId>;

/** Puts notices into the same queue, with a Received field on top as qmail-queue writes it. */
export function createBounceSubmitter(queue: Queue, clock: Clock, controls: RecipientControls): SubmitBounce {
  return async ({ plan, parts }) => {
    const intake = queue.begin();
    const trace = `Received: (qmail ${process.pid} invoked for bounce); ${formatDate(clock.nowMs())}\n`;
    for (const part of [bytesOf(trace), ...parts]) await intake.write(part);
    return intake.commit({ sender: plan.sender, recipients: [classifyRecipient(plan.recipient, controls)] });
  };
}

/** What {@link Notices} are made with. */
export interface NoticesSettings {
  readonly queue: Pick<Queue, 'read'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly controls: NoticePolicy;
  readonly submitBounce: SubmitBounce;
}

const TOKEN_BYTES = 12;
const NO_BYTES = new Uint8Array(0);

/** See the head of this file. */
export class Notices {
  readonly #settings: NoticesSettings;

  constructor(settings: NoticesSettings) {
    this.#settings = settings;
  }

  /** The notice about a message that failed. `failures` are those to tell of. */
  ofFailure(plan: BouncePlan, message: FinishedMessage, bytes: Uint8Array): Notice {
    const { controls } = this.#settings;
    const { failures } = message;
    if (this.#isPlain(message.sender)) {
      const notice = formatBounce(plan, failures, controls, this.#settings.clock.nowMs());
      return { plan, parts: [notice, bytes] };
    }
    const settings = { ...this.#reportSettings(), bytesMax: controls.bouncemaxbytes };
    return { plan, parts: formatFailureReport(plan, failures, { ...message, bytes }, settings) };
  }

  /** One notice about messages that failed for the same sender. */
  async ofMany(plan: BouncePlan, messages: readonly FinishedMessage[]): Promise<Notice> {
    const entries = [];
    for (const message of messages) {
      const probe = new MessageIdProbe();
      probe.receive(await this.#settings.queue.read(message.id));
      entries.push({ ...message, messageId: probe.value });
    }
    const isPlain = this.#isPlain(messages[0]?.sender ?? NO_BYTES);
    return { plan, parts: [formatDigest(plan, entries, this.#reportSettings(), isPlain)] };
  }

  /**
   * Tells the sender what it asked to be told of a message that is not finished by it; nobody where there is no sender.
   * @param untilMs until when it is tried
   * @throws SystemError when that could not be queued
   */
  async tell(job: Job, notifications: readonly Notification[], untilMs: number): Promise<void> {
    const { queue, log, controls, submitBounce } = this.#settings;
    const plan = planBounce(job.sender, controls);
    if (plan?.kind !== 'single') return;
    const message = { ...job, bytes: await queue.read(job.id) };
    const settings = { ...this.#reportSettings(), untilMs };
    const parts = formatNotification(plan, notifications, message, settings);
    const bounceId = await submitBounce({ plan, parts });
    let bytes: number | undefined = sizeOf(parts);
    for (const { address: recipient, action: kind } of notifications) {
      log.write('notice', { id: job.id, bounceId, kind, recipient, bytes });
      bytes = undefined;
    }
  }

  /** Lists that ask for a sender for each recipient are qmail's, and read qmail's format only. */
  #isPlain(sender: Uint8Array): boolean {
    return this.#settings.controls.bounceformat === 'qmail' || isVerp(sender);
  }

  #reportSettings() {
    const { controls, clock } = this.#settings;
    return { controls, nowMs: clock.nowMs(), token: randomBytes(TOKEN_BYTES).toString('hex') };
  }
}

/** Bytes of all of them. */
export function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
