// What an operator has of a running hub, in one piece: orders, kept bounces, the routes as they are, the socket that all this
// is asked through. A hub without its command line still carries mail.

import type { Server } from 'node:http';
import { textOf } from '../core/bytes/bytes.ts';
import { classifyRecipient } from '../core/policy/recipient.ts';
import { createDestinationOf, type Delivery } from '../delivery/delivery.ts';
import type { DeliveryControls } from '../delivery/delivery-controls.ts';
import type { Clock } from '../host/clock.ts';
import { readControlList } from '../host/control.ts';
import type { Log } from '../host/log.ts';
import type { FinishedMessage, MessageId, Queue } from '../queue/queue.ts';
import { openAdminSocket } from './admin-socket.ts';
import type { BouncedFiles } from './bounced-files.ts';
import type { Counters } from './counters.ts';
import { Operator } from './operator.ts';
import { Regrouping } from './regrouping.ts';

/** The file that names the routes that a home's queue is grouped by, see regrouping.ts. */
export function routesPath(home: string): string {
  return `${home}/queue/routes`;
}

/** What it is made of. */
export interface AdministrationParts {
  readonly home: string;
  readonly queue: Queue;
  readonly delivery: Delivery;
  /** As they are at each moment. */
  readonly controls: DeliveryControls;
  readonly bounced: BouncedFiles;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Log;
}

/** See the head of this file. */
export class Administration {
  readonly #home: string;
  readonly #operator: Operator;
  readonly #regrouping: Regrouping;
  readonly #bounced: BouncedFiles;
  readonly #server: Server | undefined;

  private constructor(
    { home, bounced }: AdministrationParts,
    operator: Operator,
    regrouping: Regrouping,
    server: Server | undefined,
  ) {
    this.#home = home;
    this.#bounced = bounced;
    this.#operator = operator;
    this.#regrouping = regrouping;
    this.#server = server;
  }

  /** Starts everything; trouble with the socket is logged. */
  static async open(parts: AdministrationParts): Promise<Administration> {
    const { home, queue, delivery, controls, bounced, clock, log, counters } = parts;
    const finish = (message: FinishedMessage) => delivery.finish(message);
    const classify = (address: Uint8Array) => classifyRecipient(address, controls);
    const operator = new Operator({ ...parts, finish, classify });
    const destinationOf = createDestinationOf(controls);
    const regrouping = new Regrouping({ queue, destinationOf, path: routesPath(home), clock, log });
    const running = () => delivery.running();
    let server: Server | undefined;
    try {
      server = await openAdminSocket(home, { queue, operator, bounced, clock, counters, running });
    } catch (error) {
      log.write('admin.trouble', { reason: String(error) });
    }
    const administration = new Administration(parts, operator, regrouping, server);
    administration.regroup();
    return administration;
  }

  /** Has the queue follow control/smtproutes as they are now; goes on in the background. @throws SystemError */
  regroup(): void {
    const routes = readControlList(this.#home, 'smtproutes') ?? [];
    this.#regrouping.start(routes.map(textOf).join('\n'));
  }

  /** Takes no question any more. */
  closeSocket(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** Ends orders where they are; nothing is asked of the queue any more when it resolves. */
  async stop(): Promise<void> {
    await Promise.all([this.#operator.stop(), this.#regrouping.stop(), this.#bounced.close()]);
  }
}

/** Keeps what bounces, as {@link Delivery} tells of it. */
export function createKeeper(
  queue: Pick<Queue, 'find'>,
  bounced: BouncedFiles,
  clock: Clock,
  counters: Counters,
): (message: FinishedMessage, bytes: Uint8Array, noticeId: MessageId) => Promise<void> {
  return async ({ id, sender, birthMs, failures }, bytes, noticeId) => {
    const message = await queue.find(id);
    const reports = new Map(failures.map(({ address, report }) => [textOf(address), report]));
    const recipients = (message?.recipients ?? [])
      .filter(({ state }) => state === 'failed')
      .map(({ state: _, ...one }) => ({ ...one, report: reports.get(textOf(one.address)) ?? '' }));
    const times = { birthMs, bouncedMs: clock.nowMs() };
    const dsn = message?.dsn;
    const kept = { id, ...times, size: bytes.length, noticeId, sender, recipients, ...(dsn && { dsn }) };
    if (await bounced.keep(kept, bytes)) counters.add('keptBounced');
  };
}
