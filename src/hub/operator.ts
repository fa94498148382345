// What an operator may do to messages in the queue while it runs, and under overload: a few hundred at a time, giving way
// to intake and deliveries in between. A message that is being delivered is held first, so that no further attempt begins,
// and removed or given up on when the attempt has ended: what was delivered by then is known.

import { bytesOf } from '../core/bytes/bytes.ts';
import { chosenKey } from '../core/policy/route.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { FinishedMessage, Job, MessageId, Queue, QueuedMessage, Recipient } from '../queue/queue.ts';
import { HELD_MS } from '../queue/queue.ts';
import { asSelectable, type ResendParts, resend } from './resend.ts';
import { type Selection, selectMessages } from './selection.ts';

/** All that can be done. */
export const ACTIONS = ['hold', 'release', 'retry', 'rm', 'bounce', 'reroute', 'resend'] as const;

/**
 * Keep from being delivered; end that; make due now; remove without a bounce; end with a bounce; send another way than the
 * routes say; queue anew what has bounced.
 */
export type Action = (typeof ACTIONS)[number];

/** What to do to which messages. */
export interface Order {
  readonly action: Action;
  readonly selection: Selection;
  /** Of `reroute`: the relay as in smtproutes, one character per byte, empty for MX; undefined to go by the routes again. */
  readonly route?: string | undefined;
  /** Of `resend`: who gets it in place of those that failed, one character per byte. */
  readonly to?: string | undefined;
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

/** What came of an order for a message. */
export interface OrderOutcome {
  readonly result: OrderResult;
  /** Of trouble. */
  readonly reason?: string;
  /** The message that was queued anew. */
  readonly resentAs?: MessageId | undefined;
}

/** Takes what came of it for each message, as it was before. */
export type OnOrderResult = (message: QueuedMessage, outcome: OrderOutcome) => void;

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
  readonly bounced: ResendParts['bounced'];
  /** How a new recipient is delivered. */
  readonly classify: ResendParts['classify'];
}

const AT_A_TIME = 500;
/** Each holds its message in memory. */
const RESEND_AT_A_TIME = 10;
const LOOK_AGAIN_MS = 500;
/** What a sender reads. */
const GIVEN_UP = 'The administrator of this mail server has given up on this message. (#5.4.7)\n';

/** See the head of this file. */
export class Operator {
  readonly #settings: OperatorSettings;
  /** Messages for which an order waits until the attempt under way has ended. */
  readonly #waiting = new Map<MessageId, Order>();
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
        const outcome = await this.#one(order, message);
        summary[outcome.result]++;
        onResult(message, outcome);
      });
      batch = [];
      await Promise.all(tasks);
      await pause();
      if (this.#stopped) throw new Error('Cannot go on with the order: the hub stops');
    };
    const isResend = order.action === 'resend';
    const source = isResend ? asSelectable(this.#settings.bounced) : queue;
    for await (const message of selectMessages(source, order.selection, clock.nowMs())) {
      if (!isMeant(order.action, message)) continue;
      batch.push(message);
      if (batch.length === (isResend ? RESEND_AT_A_TIME : AT_A_TIME)) await runBatch();
    }
    await runBatch();
    if (order.dryRun !== true) this.#logOrder(order, summary);
    return summary;
  }

  #logOrder({ action, selection, route, to }: Order, summary: OrderSummary): void {
    const { ids, sender, recipient, olderSeconds } = selection;
    this.#settings.log.write('operator', {
      ...{ action, to: to ?? wordOf(route), ids: ids?.length, sender, recipient, older: olderSeconds },
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

  async #one(order: Order, message: QueuedMessage): Promise<OrderOutcome> {
    if (order.dryRun === true) return { result: 'selected' };
    const { id } = message;
    try {
      const outcome =
        order.action === 'resend' ? await this.#resend(order, id) : await this.#change(order, id);
      this.#note(order, id, outcome);
      return outcome;
    } catch (error) {
      const outcome = { result: 'trouble', reason: reasonOf(error) } as const;
      this.#note(order, id, outcome);
      return outcome;
    }
  }

  #note({ action, to, route }: Order, id: MessageId, { result, reason: text, resentAs }: OrderOutcome): void {
    this.#settings.events.write('operator', { id, action, to: to ?? wordOf(route), result, text, resentAs });
  }

  async #resend({ to }: Order, id: MessageId): Promise<OrderOutcome> {
    const resentAs = await resend(this.#settings, id, to);
    return resentAs === undefined ? { result: 'ended' } : { result: 'done', resentAs };
  }

  async #change(order: Order, id: MessageId): Promise<OrderOutcome> {
    const { queue, clock } = this.#settings;
    const { action } = order;
    if (action === 'rm' || action === 'bounce' || action === 'reroute') {
      const ended = await this.#withAll(order, id);
      if (ended !== 'busy') return { result: ended };
      // What goes another way next time may as well be delivered by the attempt under way.
      if (action !== 'reroute' && !(await queue.reschedule(id, HELD_MS))) return { result: 'ended' };
      this.#waiting.set(id, order);
      this.#lookLater();
      return { result: 'waiting' };
    }
    const dueMs = action === 'hold' ? HELD_MS : clock.nowMs();
    if (action !== 'hold') this.#waiting.delete(id);
    return { result: (await queue.reschedule(id, dueMs)) ? 'done' : 'ended' };
  }

  /** Does what needs all that is left of a message in hand. */
  async #withAll({ action, route }: Order, id: MessageId): Promise<OrderResult | 'busy'> {
    const { queue, clock } = this.#settings;
    const jobs = await queue.handOut(id);
    if (jobs === 'busy') return 'busy';
    // With nothing left its bounce is on its way.
    if (jobs === undefined || jobs.length === 0) return 'ended';
    try {
      if (action === 'rm') await queue.remove(id);
      else if (action === 'bounce') await this.#giveUp(jobs);
      else {
        const relay = route === undefined ? undefined : bytesOf(route);
        const choose = relay && (({ address }: Recipient) => chosenKey(address, relay) ?? '');
        await queue.regroup(jobs, choose, clock.nowMs());
      }
    } catch (error) {
      for (const job of jobs) await queue.settle(job, [], job.dueMs).catch(() => undefined);
      throw error;
    }
    return 'done';
  }

  async #giveUp(jobs: readonly Job[]): Promise<void> {
    for (const job of jobs) {
      const { id, sender, birthMs, channel, dsn } = job;
      const verdicts = job.recipients.map(
        ({ index }) => ({ index, state: 'failed', report: GIVEN_UP }) as const,
      );
      const { finished, failures } = await this.#settings.queue.settle(job, verdicts, undefined);
      for (const { address: recipient } of job.recipients)
        this.#settings.log.write('delivery.failure', { id, channel, recipient, text: GIVEN_UP.trim() });
      if (finished) this.#settings.finish({ id, sender, birthMs, failures, dsn });
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
    for (const [id, order] of this.#waiting) {
      try {
        const result = await this.#withAll(order, id);
        if (result === 'busy') continue;
        this.#note(order, id, { result });
      } catch (error) {
        const { action } = order;
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

/** How an order's route is told. */
function wordOf(route: string | undefined): string | undefined {
  return route === '' ? 'mx' : route;
}

/**
 * Only what is held can be released, what is held is not retried, only what goes to other hosts has a route, and what has
 * nothing left is past all that.
 */
function isMeant(action: Action, message: QueuedMessage): boolean {
  if (!message.recipients.some(({ state }) => state === 'todo')) return false;
  if (action === 'reroute') return message.destinations.length > 0;
  if (action === 'release') return isHeld(message);
  return action !== 'retry' || !isHeld(message);
}
