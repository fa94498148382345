// The central server in one process: queue, delivery, listeners and the administrator's socket, started and stopped in
// the order that loses nothing.

import { rmSync } from 'node:fs';
import { textOf } from '../core/bytes/bytes.ts';
import { classifyRecipient } from '../core/policy/recipient.ts';
import { createDelivery, createDestinationOf, type Delivery } from '../delivery/delivery.ts';
import { DkimSigner } from '../delivery/dkim-signer.ts';
import { LocalLmtpTransport, readLocalLmtp } from '../delivery/local-lmtp.ts';
import { createBounceSubmitter } from '../delivery/notices.ts';
import { openOutgoing } from '../delivery/outgoing.ts';
import { openSmtpTransport } from '../delivery/transport-controls.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine } from '../host/control.ts';
import type { Log } from '../host/log.ts';
import type { EmbeddedQueue } from '../queue/embedded-queue.ts';
import type { QueueStats, Recipient } from '../queue/queue.ts';
import { Administration, createKeeper } from './administration.ts';
import { openBounced } from './bounced-files.ts';
import { Counters } from './counters.ts';
import { type HubEvents, openHubEvents } from './event-files.ts';
import type { HostPort } from './host-port.ts';
import { type IntakeGuard, openIntakeGuard } from './intake-guard.ts';
import { KnownRecipients } from './known-recipients.ts';
import { LiveControls } from './live-controls.ts';
import { openLocalDelivery } from './local-delivery.ts';
import { readMessageSizeMax } from './message-size.ts';
import { openQueue } from './open-queue.ts';
import { QmqpListener } from './qmqp-listener.ts';
import { QmqpListeners, type QmqpPlaces, readQmqpTls } from './qmqp-listeners.ts';
import { RecipientListener } from './recipient-listener.ts';
import { readResubmissionLimits } from './resubmission-limits.ts';
import { makeRunFolder, queueSocketPath } from './run-folder.ts';
import { type BoundSmtpPlaces, SmtpListeners, type SmtpPlaces } from './smtp-listeners.ts';

/** Where a hub is, and who gets to it. */
export interface HubPlaces extends SmtpPlaces, QmqpPlaces {
  /** Its installation: control files, queue and mailboxes are below. Absolute. */
  readonly home: string;
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

const RECIPIENT_COUNT_MAX = 200_000;
const ADDRESS_BYTES_MAX = 16 << 20;
const CONNECTION_COUNT_MAX = 20_000;
const CHECK_CONNECTION_COUNT_MAX = 1_000;
const IDLE_MS = 300_000;
const STOP_GRACE_MS = 8_000;
const STOP_MAX_MS = 10_000;

/** A running hub. */
export class Hub {
  /** Where QMQP is taken, the port that was picked included. */
  readonly qmqp: HostPort;
  /** The same for QMQP by TLS only, if there is a port for that. */
  readonly qmqps: HostPort | undefined;
  /** Where questions about recipients are answered, if anywhere. */
  readonly check: HostPort | undefined;
  /** Where SMTP and LMTP are taken. */
  readonly mail: BoundSmtpPlaces;
  readonly #live: LiveControls;
  readonly #clock: Clock;
  readonly #queue: EmbeddedQueue;
  readonly #delivery: Delivery;
  readonly #listener: QmqpListeners;
  readonly #local: QmqpListener;
  readonly #smtp: SmtpListeners;
  readonly #guard: IntakeGuard;
  readonly #checkListener: RecipientListener | undefined;
  readonly #administration: Administration;
  readonly #hubEvents: HubEvents;

  private constructor(parts: {
    live: LiveControls;
    clock: Clock;
    bound: QmqpPlaces;
    check: HostPort | undefined;
    mail: BoundSmtpPlaces;
    smtp: SmtpListeners;
    guard: IntakeGuard;
    queue: EmbeddedQueue;
    delivery: Delivery;
    listener: QmqpListeners;
    local: QmqpListener;
    checkListener: RecipientListener | undefined;
    administration: Administration;
    hubEvents: HubEvents;
  }) {
    this.qmqp = parts.bound.qmqp;
    this.qmqps = parts.bound.qmqps;
    this.#live = parts.live;
    this.#clock = parts.clock;
    this.check = parts.check;
    this.mail = parts.mail;
    this.#smtp = parts.smtp;
    this.#guard = parts.guard;
    this.#queue = parts.queue;
    this.#delivery = parts.delivery;
    this.#listener = parts.listener;
    this.#local = parts.local;
    this.#checkListener = parts.checkListener;
    this.#administration = parts.administration;
    this.#hubEvents = parts.hubEvents;
  }

  /**
   * Starts everything; when it resolves, mail is accepted and delivered.
   * @throws Error or SystemError that names what is in the way; nothing stays behind then
   */
  static async start(options: HubOptions): Promise<Hub> {
    const { home, clock, onRequest } = options;
    const me = readControlLine(home, 'me');
    if (me === undefined) throw new Error(`Cannot run a hub in ${home}: control/me is missing`);
    const messageSizeMax = readMessageSizeMax(home);
    const live = new LiveControls(home, options.rules);
    const counters = new Counters();
    const hubEvents = openHubEvents(home, clock, counters.countIn(options.log));
    const { log, events } = hubEvents;
    const { judge, delivery: controls } = live;
    log.write('delivery.limits', { local: controls.concurrencylocal, remote: controls.concurrencyremote });
    const tls = readQmqpTls(home, { isDemanded: options.qmqps !== undefined, clock, log });
    const destinationOf = createDestinationOf(controls);
    const resubmissions = readResubmissionLimits(home);
    const queue = await openQueue(home, { clock, log, destinationOf, resubmissions });
    const onRefusal = () => counters.add('backPressure');
    const guard = await openIntakeGuard(home, { queue, clock, log, onRefusal });
    const known = new KnownRecipients(home, controls);
    const bounced = openBounced(home, clock);
    const onBounced = createKeeper(queue, bounced, clock, counters);
    const delivery = createHubDelivery({ home, clock, log, queue, live, known, onBounced });
    const settings = {
      queue: guard,
      classify: (address: Uint8Array): Recipient => classifyRecipient(address, controls),
      me: textOf(me),
      limits: { messageSizeMax, recipientCountMax: RECIPIENT_COUNT_MAX, addressBytesMax: ADDRESS_BYTES_MAX },
      connectionCountMax: CONNECTION_COUNT_MAX,
      ...{ idleMs: IDLE_MS, clock, log },
    };
    const listener = new QmqpListeners({ ...settings, judge, onRequest }, tls, options);
    const local = new QmqpListener({ ...settings, judge: () => ({ allow: true }), isLocal: true });
    const takes = (recipient: Uint8Array) => known.takes(recipient);
    const checkListener =
      options.check &&
      new RecipientListener({
        takes,
        connectionCountMax: CHECK_CONNECTION_COUNT_MAX,
        ...{ judge, idleMs: IDLE_MS, clock, log },
      });
    const smtp = new SmtpListeners({ ...settings, places: options, home, takes, judge, messageSizeMax });
    try {
      const bound = await listener.listen();
      const mail = await smtp.listen();
      const check = options.check && (await checkListener?.listen(options.check));
      await delivery.start();
      await listenLocally(home, local, log);
      const administration = await Administration.open({
        ...{ home, queue, delivery, controls, bounced, counters, clock, log, events },
      });
      return new Hub({
        live,
        clock,
        ...{ bound, check, mail, smtp, guard },
        queue,
        delivery,
        listener,
        local,
        checkListener,
        administration,
        hubEvents,
      });
    } catch (error) {
      await Promise.all([listener.close(0), smtp.close(0)]).catch(() => undefined);
      await checkListener?.close();
      await queue.close();
      throw error;
    }
  }

  stats(): QueueStats {
    return this.#queue.stats();
  }

  /** Reads again what {@link LiveControls.reload} does. @throws Error or SystemError: nothing has changed then */
  reload(): void {
    this.#delivery.reload(this.#live.reload());
    this.#administration.regroup();
  }

  /** Tries everything in the queue now that waits for a later attempt. @throws SystemError */
  hasten(): Promise<void> {
    return this.#queue.hasten(this.#clock.nowMs());
  }

  /**
   * Accepts nothing more and starts no delivery, lets sessions and deliveries under way end, closes the queue.
   * @returns whether all have ended; after ten seconds it says no, and the process has to end with what is left: that is
   *   in the queue
   */
  stop(): Promise<boolean> {
    this.#guard.close();
    this.#administration.closeSocket();
    const listeners = [this.#listener, this.#local].map((one) => one.close(STOP_GRACE_MS));
    const smtp = this.#smtp.close(STOP_GRACE_MS);
    const ended = Promise.all([...listeners, smtp, this.#checkListener?.close(), this.#delivery.stop()]);
    return new Promise((resolve, reject) => {
      const callOff = this.#clock.after(STOP_MAX_MS, () =>
        resolve(this.#hubEvents.close().then(() => false)),
      );
      ended
        .then(() => this.#administration.stop())
        .then(() => this.#queue.close())
        .then(() => this.#hubEvents.close())
        .then(() => resolve(true), reject)
        .finally(callOff);
    });
  }
}

function createHubDelivery(parts: {
  home: string;
  clock: Clock;
  log: Log;
  queue: EmbeddedQueue;
  live: LiveControls;
  known: KnownRecipients;
  onBounced: ReturnType<typeof createKeeper>;
}): Delivery {
  const { home, clock, log, queue, live, known, onBounced } = parts;
  const controls = live.delivery;
  const signer = new DkimSigner(live.dkimKeys, { clock, log });
  const smtp = openSmtpTransport({ home, clock, log, controls });
  const lmtp = readLocalLmtp(home);
  const mailboxes = lmtp && new LocalLmtpTransport(lmtp, smtp, () => controls.virtualdomains);
  const local = openLocalDelivery({ home, clock, known, mailboxes });
  const delivery = createDelivery({
    queue,
    clock,
    log,
    policy: controls,
    local: local.transport,
    transport: openOutgoing(smtp, signer),
    submitBounce: createBounceSubmitter(queue, clock, controls),
    onBounced,
  });
  const stop = () => delivery.stop().finally(() => local.close());
  return {
    ...delivery,
    stop,
    reload(rules) {
      signer.reload(live.dkimKeys);
      delivery.reload(rules);
    },
  };
}

/** A hub that programs of this host cannot reach still carries mail of others. */
async function listenLocally(home: string, local: QmqpListener, log: Log): Promise<void> {
  const path = queueSocketPath(home);
  try {
    makeRunFolder(home);
    // The queue's lock is held by now, so a socket that is still there belongs to a hub that is gone.
    rmSync(path, { force: true });
    await local.listenOnFile(path);
  } catch (error) {
    log.write('local.trouble', { reason: String(error) });
  }
}
