// What an operator may do to messages in the queue while it runs, and under overload: a few hundred at a time, giving way
// to intake and deliveries in between. A message that is being delivered is held first, so that no further attempt begins,
// and removed or given up on when the attempt has ended: what was delivered by then is known.

import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { FinishedMessage, Job, MessageId, Queue, QueuedMessage } from '../queue/queue.ts';
import { HELD_MS } from '../queue/queue.ts';
import { type Selection, selectMessages } from './selection.ts';

/** All that can be done. */
export const ACTIONS = ['hold', 'release', 'retry', 'rm', 'bounce'] as const;

/** Keep from being delivered; end that; make due now; remove without a bounce; end with a bounce. */
export type Action = (typeof ACTIONS)[number];

/** What to do to which messages. */
export interface Order {
  readonly action: Action;
  readonly selection: Selection;
  /** Only tell which they are. */
  readonly dryRun?: boolean;
}

/**
 * What became of a message: `done`; `waiting` for the end of the attempt under way; `ended` by itself in the meantime;
 * `trouble`; `selected` in a dry run.
 */
export type OrderResult = 'done' | 'waiting' | 'ended' | 'trouble' | 'selected';

/** How often each result came about. */
export type OrderSummary = Readonly<Record<OrderResult, number>>;

/** Takes the result of each message, as it was before. */
export type OnOrderResult = (message: QueuedMessage, result: OrderResult, reason?: string) => void;

/** What an {@link Operator} works with. */
export interface OperatorSettings {
  readonly queue: Queue;
  readonly clock: Clock;
  /** Is told of each order, and of each recipient that fails by one; what it is told is an event as well. */
  readonly log: Log;
  /** Is told of each message. */
  readonly events: Log;
  /** Queues the bounce of a message that has ended. */
  readonly finish: (message: FinishedMessage) => void;
}

const AT_A_TIME = 500;
const LOOK_AGAIN_MS = 500;
/** What a sender reads. */
const GIVEN_UP = 'The administrator of this mail server has given up on this message. (#5.4.7)\n';

/** See the head of this file. */
export class Operator {
  readonly #settings: OperatorSettings;
  /** Messages that are held until the attempt under way has ended. */
  readonly #waiting = new Map<MessageId, 'rm' | 'bounce'>();
  #callOff: (() => void) | undefined;
  #looking = Promise.resolve();
  readonly #orders = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(settings: OperatorSettings) {
    this.#settings = settings;
  }

  /**
   * Carries out an order; a message that makes trouble does not keep it from the others.
   * @param pause called after each few hundred messages; a rejection ends the order, and what was done stays so
   * @throws SystemError when the queue cannot be read
   */
  carryOut(order: Order, onResult: OnOrderResult, pause = nextTurn): Promise<OrderSummary> {
    const running = this.#carryOut(order, onResult, pause).finally(() => this.#orders.delete(running));
    this.#orders.add(running);
    return running;
  }

  async #carryOut(order: Order, onResult: OnOrderResult, pause: () => Promise<void>): Promise<OrderSummary> {
    const { queue, clock } = this.#settings;
    const summary = { done: 0, waiting: 0, ended: 0, trouble: 0, selected: 0 };
    let batch: QueuedMessage[] = [];
    const runBatch = async () => {
      const tasks = batch.map(async (message) => {
        const { result, reason } = await this.#one(order, message);
        summary[result]++;
        onResult(message, result, reason);
      });
      batch = [];
      await Promise.all(tasks);
      await pause();
      if (this.#stopped) throw new Error('Cannot go on with the order: the hub stops');
    };
    for await (const message of selectMessages(queue, order.selection, clock.nowMs())) {
      if (!isMeant(order.action, message)) continue;
      batch.push(message);
      if (batch.length === AT_A_TIME) await runBatch();
    }
    await runBatch();
    if (order.dryRun !== true) this.#logOrder(order, summary);
    return summary;
  }

  #logOrder({ action, selection }: Order, summary: OrderSummary): void {
    const { ids, sender, recipient, olderSeconds } = selection;
    this.#settings.log.write('operator', {
      ...{ action, ids: ids?.length, sender, recipient, older: olderSeconds },
      ...summary,
    });
  }

  /** Lets go: orders end where they are, and what waits for the end of an attempt stays held. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#orders);
    this.#callOff?.();
    this.#waiting.clear();
    await this.#looking;
  }

  async #one(
    { action, dryRun }: Order,
    message: QueuedMessage,
  ): Promise<{ result: OrderResult; reason?: string }> {
    if (dryRun === true) return { result: 'selected' };
    const { id } = message;
    try {
      const result = await this.#change(action, id);
      this.#note(action, id, result);
      return { result };
    } catch (error) {
      const reason = reasonOf(error);
      this.#settings.events.write('operator', { id, action, result: 'trouble', text: reason });
      return { result: 'trouble', reason };
    }
  }

  #note(action: Action, id: MessageId, result: OrderResult): void {
    this.#settings.events.write('operator', { id, action, result });
  }

  async #change(action: Action, id: MessageId): Promise<OrderResult> {
    const { queue, clock } = this.#settings;
    if (action === 'rm' || action === 'bounce') {
      const ended = await this.#end(action, id);
      if (ended !== 'busy') return ended;
      if (!(await queue.reschedule(id, HELD_MS))) return 'ended';
      this.#waiting.set(id, action);
      this.#lookLater();
      return 'waiting';
    }
    const dueMs = action === 'hold' ? HELD_MS : clock.nowMs();
    if (action !== 'hold') this.#waiting.delete(id);
    return (await queue.reschedule(id, dueMs)) ? 'done' : 'ended';
  }

  async #end(action: 'rm' | 'bounce', id: MessageId): Promise<OrderResult | 'busy'> {
    const { queue } = this.#settings;
    const jobs = await queue.handOut(id);
    if (jobs === 'busy') return 'busy';
    // With nothing left its bounce is on its way.
    if (jobs === undefined || jobs.length === 0) return 'ended';
    try {
      if (action === 'rm') await queue.remove(id);
      else await this.#giveUp(jobs);
    } catch (error) {
      for (const job of jobs) await queue.settle(job, [], job.dueMs).catch(() => undefined);
      throw error;
    }
    return 'done';
  }

  async #giveUp(jobs: readonly Job[]): Promise<void> {
    for (const job of jobs) {
      const { id, sender, birthMs, channel } = job;
      const verdicts = job.recipients.map(
        ({ index }) => ({ index, state: 'failed', report: GIVEN_UP }) as const,
      );
      const { finished, failures } = await this.#settings.queue.settle(job, verdicts, undefined);
      for (const { address: recipient } of job.recipients)
        this.#settings.log.write('delivery.failure', { id, channel, recipient, text: GIVEN_UP.trim() });
      if (finished) this.#settings.finish({ id, sender, birthMs, failures });
    }
  }

  #lookLater(): void {
    this.#callOff ??= this.#settings.clock.after(LOOK_AGAIN_MS, () => {
      this.#callOff = undefined;
      this.#looking = this.#look();
    });
  }

  /** Ends what is not being delivered any more. */
  async #look(): Promise<void> {
    for (const [id, action] of this.#waiting) {
      try {
        const result = await this.#end(action, id);
        if (result === 'busy') continue;
        this.#note(action, id, result);
      } catch (error) {
        this.#settings.log.write('operator.trouble', { id, action, reason: reasonOf(error) });
      }
      this.#waiting.delete(id);
    }
    if (this.#waiting.size > 0) this.#lookLater();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Whether an operator holds the message. */
export function isHeld({ due }: Pick<QueuedMessage, 'due'>): boolean {
  return due.local === HELD_MS || due.remote === HELD_MS;
}

/** Only what is held can be released, what is held is not retried, and what has nothing left is past all that. */
function isMeant(action: Action, message: QueuedMessage): boolean {
  if (!message.recipients.some(({ state }) => state === 'todo')) return false;
  if (action === 'release') return isHeld(message);
  return action !== 'retry' || !isHeld(message);
}
