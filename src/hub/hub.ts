// The central server in one process: queue, delivery, listeners and the administrator's socket, started and stopped in
// the order that loses nothing.

import type { Server } from 'node:http';
import { hostname } from 'node:os';
import { textOf } from '../core/bytes/bytes.ts';
import { classifyRecipient } from '../core/policy/recipient.ts';
import { createBounceSubmitter } from '../delivery/bouncer.ts';
import { createDelivery, createDestinationOf, type Delivery } from '../delivery/delivery.ts';
import {
  type DeliveryControls,
  readDeliveryControls,
  readDestinationRules,
} from '../delivery/delivery-controls.ts';
import { MaildirTransport } from '../delivery/maildir.ts';
import { SmtpTransport } from '../delivery/remote-smtp.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine, readControlNumber } from '../host/control.ts';
import { NODE_FILES } from '../host/files.ts';
import type { Log } from '../host/log.ts';
import { EmbeddedQueue } from '../queue/embedded-queue.ts';
import type { QueueStats, Recipient } from '../queue/queue.ts';
import { openWorkerIndex } from '../queue/worker-index.ts';
import { openAdminSocket } from './admin-socket.ts';
import { readAllowedClients } from './allowed-clients.ts';
import { judgeByList, judgeByRules } from './client-judge.ts';
import type { HostPort } from './host-port.ts';
import { guardMailboxes, KnownRecipients } from './known-recipients.ts';
import { QmqpListener } from './qmqp-listener.ts';
import { RecipientListener } from './recipient-listener.ts';

/** Where a hub is, and who gets to it. */
export interface HubPlaces {
  /** Its installation: control files, queue and mailboxes are below. Absolute. */
  readonly home: string;
  /** Where to take QMQP. */
  readonly qmqp: HostPort;
  /** Where to answer questions about recipients, if anywhere. */
  readonly check?: HostPort | undefined;
  /** File of the rules that say who may connect, in place of control/qmqpclients. Absolute. */
  readonly rules?: string | undefined;
}

/** How a hub is run. */
export interface HubOptions extends HubPlaces {
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the first bytes of a request are there. */
  readonly onRequest?: () => void;
}

const MESSAGE_SIZE_MAX = 100 << 20;
const RECIPIENT_COUNT_MAX = 200_000;
const ADDRESS_BYTES_MAX = 16 << 20;
const CONNECTION_COUNT_MAX = 20_000;
const CHECK_CONNECTION_COUNT_MAX = 1_000;
const IDLE_MS = 300_000;
const STOP_GRACE_MS = 8_000;

/** A running hub. */
export class Hub {
  /** Where QMQP is taken, the port that was picked included. */
  readonly qmqp: HostPort;
  /** Where questions about recipients are answered, if anywhere. */
  readonly check: HostPort | undefined;
  readonly #home: string;
  readonly #queue: EmbeddedQueue;
  readonly #delivery: Delivery;
  readonly #listener: QmqpListener;
  readonly #checkListener: RecipientListener | undefined;
  readonly #admin: Server | undefined;

  private constructor(parts: {
    home: string;
    qmqp: HostPort;
    check: HostPort | undefined;
    queue: EmbeddedQueue;
    delivery: Delivery;
    listener: QmqpListener;
    checkListener: RecipientListener | undefined;
    admin: Server | undefined;
  }) {
    this.qmqp = parts.qmqp;
    this.check = parts.check;
    this.#home = parts.home;
    this.#queue = parts.queue;
    this.#delivery = parts.delivery;
    this.#listener = parts.listener;
    this.#checkListener = parts.checkListener;
    this.#admin = parts.admin;
  }

  /**
   * Starts everything; when it resolves, mail is accepted and delivered.
   * @throws Error or SystemError that names what is in the way; nothing stays behind then
   */
  static async start(options: HubOptions): Promise<Hub> {
    const { home, qmqp, clock, log, onRequest } = options;
    const me = readControlLine(home, 'me');
    if (me === undefined) throw new Error(`Cannot run a hub in ${home}: control/me is missing`);
    const judge =
      options.rules === undefined ? judgeByList(readAllowedClients(home)) : judgeByRules(options.rules);
    const messageSizeMax = readControlNumber(home, 'databytes', MESSAGE_SIZE_MAX) || undefined;
    const controls = readDeliveryControls(home);
    const folder = `${home}/queue`;
    const queue = await EmbeddedQueue.open({
      folder,
      files: NODE_FILES,
      index: openWorkerIndex(`${folder}/index.sqlite`),
      clock,
      log,
      destinationOf: createDestinationOf(controls.smtproutes),
    });
    const known = new KnownRecipients(home, controls);
    const delivery = createHubDelivery({ home, clock, log, queue, controls, known });
    const listener = new QmqpListener({
      queue,
      classify: (address): Recipient => classifyRecipient(address, controls),
      judge,
      me: textOf(me),
      limits: { messageSizeMax, recipientCountMax: RECIPIENT_COUNT_MAX, addressBytesMax: ADDRESS_BYTES_MAX },
      connectionCountMax: CONNECTION_COUNT_MAX,
      idleMs: IDLE_MS,
      clock,
      log,
      onRequest,
    });
    const checkListener =
      options.check &&
      new RecipientListener({
        takes: (recipient) => known.takes(recipient),
        connectionCountMax: CHECK_CONNECTION_COUNT_MAX,
        ...{ judge, idleMs: IDLE_MS, clock, log },
      });
    try {
      const bound = await listener.listen(qmqp);
      const check = options.check && (await checkListener?.listen(options.check));
      await delivery.start();
      const admin = await openAdmin(home, queue, log);
      return new Hub({ home, qmqp: bound, check, queue, delivery, listener, checkListener, admin });
    } catch (error) {
      await listener.close(0).catch(() => undefined);
      await checkListener?.close();
      await queue.close();
      throw error;
    }
  }

  stats(): QueueStats {
    return this.#queue.stats();
  }

  /** Reads control/destinations again. @throws SystemError when it cannot be understood: nothing has changed then */
  reload(): void {
    this.#delivery.reload(readDestinationRules(this.#home));
  }

  /** Accepts nothing more, lets sessions and deliveries under way end, closes the queue. */
  async stop(): Promise<void> {
    this.#admin?.close();
    this.#admin?.closeAllConnections();
    await Promise.all([this.#listener.close(STOP_GRACE_MS), this.#checkListener?.close()]);
    await this.#delivery.stop();
    await this.#queue.close();
  }
}

function createHubDelivery(parts: {
  home: string;
  clock: Clock;
  log: Log;
  queue: EmbeddedQueue;
  controls: DeliveryControls;
  known: KnownRecipients;
}): Delivery {
  const { home, clock, log, queue, controls, known } = parts;
  return createDelivery({
    queue,
    clock,
    log,
    policy: controls,
    local: guardMailboxes(new MaildirTransport({ home, clock, host: hostname() }), known),
    transport: new SmtpTransport({
      heloName: controls.helohost,
      timeoutConnectMs: controls.timeoutconnect * 1000,
      timeoutRemoteMs: controls.timeoutremote * 1000,
      clock,
    }),
    submitBounce: createBounceSubmitter(queue, clock, controls),
  });
}

/** A hub without its command line still carries mail. */
async function openAdmin(home: string, queue: EmbeddedQueue, log: Log): Promise<Server | undefined> {
  try {
    return await openAdminSocket(home, queue);
  } catch (error) {
    log.write('admin.trouble', { reason: String(error) });
    return undefined;
  }
}
