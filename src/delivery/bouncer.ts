// What happens to a message that ended with failures: its sender gets a bounce (or the postmaster, or nobody), then it is
// removed. In this order: a crash in between makes one more bounce, never none. Where there are too many bounces, several
// messages have one together.

import { type BouncePlan, planBounce } from '../core/policy/bounce.ts';
import { selectWanted } from '../core/policy/bounce-report.ts';
import { reasonOf } from '../host/system-error.ts';
import type { FinishedMessage, MessageId, Queue } from '../queue/queue.ts';
import { BounceLimit, type BounceRates } from './bounce-limit.ts';
import { TROUBLE_RETRY_MS } from './channel-driver.ts';
import { type Notice, type NoticePolicy, Notices, type NoticesSettings, sizeOf } from './notices.ts';

// Each holds a whole message in memory; at a start after a crash there may be any number to do.
const AT_A_TIME = 10;

/** What a {@link Bouncer} is made of. */
export interface BouncerSettings extends NoticesSettings {
  readonly queue: Queue;
  readonly controls: NoticePolicy & BounceRates;
  /** Told of each message whose sender gets a notice, when that is queued and before the message goes. */
  readonly onBounced?:
    | ((message: FinishedMessage, bytes: Uint8Array, noticeId: MessageId) => Promise<void>)
    | undefined;
}

/** Messages that end together. */
interface Work {
  /** Those that have not ended yet. */
  readonly messages: FinishedMessage[];
  /** Whether a notice may go, as far as the limit is asked. */
  isAdmitted: boolean;
  /** Their notice, once it is queued. */
  noticeId?: MessageId;
}

/** Finishes messages with failures, a few at a time. */
export class Bouncer {
  readonly #settings: BouncerSettings;
  readonly #notices: Notices;
  readonly #limit: BounceLimit;
  #waiting: Work[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #retries = new Set<() => void>();
  #stopped = false;

  constructor(settings: BouncerSettings) {
    const { clock, log, controls } = settings;
    this.#settings = settings;
    this.#notices = new Notices(settings);
    this.#limit = new BounceLimit({
      rates: controls,
      clock,
      onRelease: (messages) => this.#add({ messages, isAdmitted: true }),
      onWait: (recipient) => log.write('bounce.limit', { recipient }),
    });
  }

  /** Bounces the message and removes it, in its turn; after trouble tries again later. */
  finish(message: FinishedMessage): void {
    this.#add({ messages: [message], isAdmitted: false });
  }

  /** Starts nothing any more; resolves when what runs has ended. What is left is found again at the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting = [];
    this.#limit.stop();
    for (const cancel of this.#retries) cancel();
    this.#retries.clear();
    await Promise.all(this.#running);
  }

  #add(work: Work): void {
    if (this.#stopped) return;
    this.#waiting.push(work);
    this.#runNext();
  }

  #runNext(): void {
    if (this.#running.size >= AT_A_TIME) return;
    const work = this.#waiting.shift();
    if (work === undefined) return;
    const running = this.#finish(work)
      .catch((error: unknown) => {
        const { id } = work.messages[0]!;
        this.#settings.log.write('delivery.trouble', { what: 'bounce', id, text: reasonOf(error) });
        this.#later(work);
      })
      .finally(() => {
        this.#running.delete(running);
        this.#runNext();
      });
    this.#running.add(running);
  }

  async #finish(work: Work): Promise<void> {
    const { log, controls } = this.#settings;
    const [message] = work.messages;
    if (message === undefined) return;
    const { id, sender } = message;
    const failures = selectWanted(message.failures);
    const plan = failures.length > 0 ? planBounce(sender, controls) : undefined;
    if (plan !== undefined) {
      work.isAdmitted ||= this.#limit.admit(plan.recipient, message);
      if (work.isAdmitted) await this.#bounce(work, plan);
      return;
    }
    if (failures.length > 0) log.write('bounce', { id, kind: 'triple', text: 'discarded' });
    else if (message.failures.length > 0)
      log.write('bounce.unwanted', { id, recipients: message.failures.length });
    await this.#end(message);
  }

  /** Queues the notice, unless that was done before trouble came, and ends the messages. */
  async #bounce(work: Work, plan: BouncePlan): Promise<void> {
    const { queue, log, submitBounce } = this.#settings;
    const { messages } = work;
    const { kind, recipient } = plan;
    const together = messages.length > 1 ? messages.length : undefined;
    let body = together === undefined ? await queue.read(messages[0]!.id) : undefined;
    let bytes: number | undefined;
    if (work.noticeId === undefined) {
      const notice = await this.#write(messages, plan, body);
      work.noticeId = await submitBounce(notice);
      bytes = sizeOf(notice.parts);
    }
    for (let message = messages[0]; message !== undefined; message = messages[0]) {
      const { id } = message;
      log.write('bounce', { id, bounceId: work.noticeId, kind, recipient, bytes, together });
      bytes = undefined;
      if (kind === 'single') await this.#tell(message, body ?? (await queue.read(id)), work.noticeId);
      body = undefined;
      await this.#end(message);
      messages.shift();
    }
  }

  async #write(
    messages: readonly FinishedMessage[],
    plan: BouncePlan,
    body: Uint8Array | undefined,
  ): Promise<Notice> {
    const asked = messages.map((one) => ({ ...one, failures: selectWanted(one.failures) }));
    return body === undefined
      ? this.#notices.ofMany(plan, asked)
      : this.#notices.ofFailure(plan, asked[0]!, body);
  }

  async #end({ id }: FinishedMessage): Promise<void> {
    await this.#settings.queue.remove(id);
    this.#settings.log.write('message.end', { id });
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

  #later(work: Work): void {
    if (this.#stopped) return;
    const cancel = this.#settings.clock.after(TROUBLE_RETRY_MS, () => {
      this.#retries.delete(cancel);
      this.#add(work);
    });
    this.#retries.add(cancel);
  }
}
