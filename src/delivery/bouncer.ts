// What happens to a message that ended with failures: its sender gets a bounce (or the postmaster, or nobody), then it is
// removed. In this order: a crash in between makes one more bounce, never none.

import { bytesOf } from '../core/bytes/bytes.ts';
import { formatDate } from '../core/message/date.ts';
import { type BounceControls, type BouncePlan, formatBounce, planBounce } from '../core/policy/bounce.ts';
import { classifyRecipient, type RecipientControls } from '../core/policy/recipient.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { FinishedMessage, MessageId, Queue } from '../queue/queue.ts';
import { TROUBLE_RETRY_MS } from './channel-driver.ts';

/** A notice with the message that it is about. */
export interface Bounce {
  readonly plan: BouncePlan;
  /** The notice's own bytes; {@link Bounce.message} follows them. */
  readonly notice: Uint8Array;
  readonly message: Uint8Array;
}

/** Queues a bounce; rejects if it is not on stable storage. */
export type SubmitBounce = (bounce: Bounce) => Promise<MessageId>;

/** Puts bounces into the same queue, with a Received field on top as qmail-queue writes it. */
export function createBounceSubmitter(queue: Queue, clock: Clock, controls: RecipientControls): SubmitBounce {
  return async ({ plan, notice, message }) => {
    const intake = queue.begin();
    const trace = `Received: (qmail ${process.pid} invoked for bounce); ${formatDate(clock.nowMs())}\n`;
    for (const part of [bytesOf(trace), notice, message]) await intake.write(part);
    return intake.commit({ sender: plan.sender, recipients: [classifyRecipient(plan.recipient, controls)] });
  };
}

// Each holds a whole message in memory; at a start after a crash there may be any number to do.
const AT_A_TIME = 10;

/** What a {@link Bouncer} is made of. */
export interface BouncerSettings {
  readonly queue: Queue;
  readonly clock: Clock;
  readonly log: Log;
  readonly controls: BounceControls;
  readonly submitBounce: SubmitBounce;
  /** Told of each message whose sender gets a notice, when that is queued and before the message goes. */
  readonly onBounced?:
    | ((message: FinishedMessage, bytes: Uint8Array, noticeId: MessageId) => Promise<void>)
    | undefined;
}

/** Finishes messages with failures, a few at a time. */
export class Bouncer {
  readonly #settings: BouncerSettings;
  #waiting: FinishedMessage[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #retries = new Set<() => void>();
  #stopped = false;

  constructor(settings: BouncerSettings) {
    this.#settings = settings;
  }

  /** Bounces the message and removes it, in its turn; after trouble tries again later. */
  finish(message: FinishedMessage): void {
    if (this.#stopped) return;
    this.#waiting.push(message);
    this.#runNext();
  }

  /** Starts nothing any more; resolves when what runs has ended. What is left is found again at the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting = [];
    for (const cancel of this.#retries) cancel();
    this.#retries.clear();
    await Promise.all(this.#running);
  }

  #runNext(): void {
    if (this.#running.size >= AT_A_TIME) return;
    const message = this.#waiting.shift();
    if (message === undefined) return;
    const running = this.#finish(message)
      .catch((error: unknown) => {
        const text = reasonOf(error);
        this.#settings.log.write('delivery.trouble', { what: 'bounce', id: message.id, text });
        this.#later(message);
      })
      .finally(() => {
        this.#running.delete(running);
        this.#runNext();
      });
    this.#running.add(running);
  }

  async #finish({ id, sender, birthMs, failures }: FinishedMessage): Promise<void> {
    const { queue, clock, log, controls, submitBounce } = this.#settings;
    const plan = failures.length > 0 ? planBounce(sender, controls) : undefined;
    if (plan !== undefined) {
      const notice = formatBounce(plan, failures, controls, clock.nowMs());
      const message = await queue.read(id);
      const bounceId = await submitBounce({ plan, notice, message });
      const bytes = notice.length + message.length;
      log.write('bounce', { id, bounceId, kind: plan.kind, recipient: plan.recipient, bytes });
      if (plan.kind === 'single') await this.#tell({ id, sender, birthMs, failures }, message, bounceId);
    } else if (failures.length > 0) {
      log.write('bounce', { id, kind: 'triple', text: 'discarded' });
    }
    await queue.remove(id);
    log.write('message.end', { id });
  }

  /** What goes wrong there keeps no message from its end. */
  async #tell(message: FinishedMessage, bytes: Uint8Array, noticeId: MessageId): Promise<void> {
    const { onBounced, log } = this.#settings;
    try {
      await onBounced?.(message, bytes, noticeId);
    } catch (error) {
      log.write('delivery.trouble', { what: 'keep', id: message.id, text: reasonOf(error) });
    }
  }

  #later(message: FinishedMessage): void {
    if (this.#stopped) return;
    const cancel = this.#settings.clock.after(TROUBLE_RETRY_MS, () => {
      this.#retries.delete(cancel);
      this.finish(message);
    });
    this.#retries.add(cancel);
  }
}
