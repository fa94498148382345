// A delivery side in virtual time: a queue in memory, transports that answer as they are told, a clock that is moved by
// hand. settle() lets everything happen that can happen without time passing.

import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap, parseDomainSet } from '../../src/core/format/domain-map.ts';
import { DestinationRules } from '../../src/core/policy/destination-rules.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { classifyRecipient } from '../../src/core/policy/recipient.ts';
import { createDelivery, createDestinationOf, type Delivery } from '../../src/delivery/delivery.ts';
import type { DeliveryControls } from '../../src/delivery/delivery-controls.ts';
import { createBounceSubmitter, type SubmitBounce } from '../../src/delivery/notices.ts';
import type { RemoteDelivery, RemoteResult } from '../../src/delivery/transport.ts';
import { createLineLog, type Log } from '../../src/host/log.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../../src/queue/memory-queue.ts';
import type { Channel, MessageId, Queue, QueuedMessage } from '../../src/queue/queue.ts';

/** How a test answers for a recipient. */
export type Answer = (recipient: string, sender: string, channel: Channel) => Outcome | Promise<Outcome>;

/** Controls of a host mx.example with everything at its default, but bounces as the original writes them. */
export const CONTROLS: DeliveryControls = {
  locals: parseDomainSet([bytesOf('mx.example')]),
  percenthack: parseDomainSet([]),
  virtualdomains: parseDomainMap([]),
  envnoathost: bytesOf('mx.example'),
  smtproutes: parseDomainMap([]),
  destinations: new DestinationRules(),
  helohost: 'mx.example',
  queuelifetime: 604_800,
  concurrencylocal: 10,
  concurrencyremote: 20,
  timeoutconnect: 60,
  timeoutremote: 1200,
  bouncefrom: bytesOf('MAILER-DAEMON'),
  bouncehost: bytesOf('mx.example'),
  doublebounceto: bytesOf('postmaster'),
  doublebouncehost: bytesOf('mx.example'),
  bounceformat: 'qmail',
  bouncemaxbytes: 100_000,
  bouncerate: 100,
  bouncerateall: 10_000,
  delaywarning: 14_400,
};

/** A stand-in for mail delivery, see the file header. */
export class DeliveryBench {
  readonly clock: ManualClock;
  readonly storage: MemoryQueueStorage;
  readonly controls: DeliveryControls;
  readonly queue: Queue;
  readonly delivery: Delivery;
  readonly log: string[] = [];
  /** Remote transactions: recipients, and the sender. */
  readonly transactions: { readonly sender: string; readonly recipients: string[]; readonly key: string }[] =
    [];
  /** Local recipients in order of delivery. */
  readonly delivered: string[] = [];
  answer: Answer = () => ({ letter: 'K', text: 'ok\n' });
  /** Takes a remote delivery in place of {@link answer}, if it gives something. */
  network: (delivery: RemoteDelivery) => Promise<RemoteResult> | undefined = () => undefined;
  submitBounce: SubmitBounce;

  constructor(
    options: {
      readonly storage?: MemoryQueueStorage;
      readonly clock?: ManualClock;
      readonly controls?: Partial<DeliveryControls>;
      readonly perDestination?: number;
      readonly wrapQueue?: (queue: Queue) => Queue;
      /** Gets every event too. */
      readonly alsoLog?: Log;
    } = {},
  ) {
    this.clock = options.clock ?? new ManualClock();
    this.storage = options.storage ?? new MemoryQueueStorage();
    this.controls = { ...CONTROLS, ...options.controls };
    const destinationOf = createDestinationOf(this.controls);
    const queue = new MemoryQueue(this.storage, this.clock, destinationOf);
    this.queue = options.wrapQueue?.(queue) ?? queue;
    this.submitBounce = createBounceSubmitter(this.queue, this.clock, this.controls);
    const lines = createLineLog((line) => this.log.push(line.trimEnd()));
    this.delivery = createDelivery({
      queue: this.queue,
      clock: this.clock,
      log: {
        write: (event, facts) => {
          lines.write(event, facts);
          options.alsoLog?.write(event, facts);
        },
      },
      policy: this.controls,
      ...(options.perDestination === undefined ? {} : { perDestination: options.perDestination }),
      submitBounce: (bounce) => this.submitBounce(bounce),
      local: {
        deliver: async ({ address, sender }) => {
          this.delivered.push(textOf(address));
          return this.answer(textOf(address), textOf(sender), 'local');
        },
      },
      transport: {
        deliver: (delivery) => this.#deliverRemote(delivery),
        close: async () => undefined,
      },
    });
  }

  async #deliverRemote(delivery: RemoteDelivery): Promise<RemoteResult> {
    const { sender, recipients, destination, onAnswer } = delivery;
    const texts = recipients.map(textOf);
    this.transactions.push({ sender: textOf(sender), recipients: texts, key: destination.key });
    const played = this.network(delivery);
    if (played !== undefined) return played;
    onAnswer?.();
    const outcomes = await Promise.all(
      texts.map(async (text) => this.answer(text, textOf(sender), 'remote')),
    );
    return { outcomes, contact: 'answered' };
  }

  /** Queues a message as the hub would. */
  accept(sender: string, recipients: readonly string[], body = 'Subject: t\n\nhello\n'): Promise<MessageId> {
    const intake = this.queue.begin();
    void intake.write(bytesOf(body));
    return intake.commit({
      sender: bytesOf(sender),
      recipients: recipients.map((text) => classifyRecipient(bytesOf(text), this.controls)),
    });
  }

  /** Lets everything happen that needs no time to pass. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  }

  /** Lets time pass, and what follows happen. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  async queued(): Promise<QueuedMessage[]> {
    const messages: QueuedMessage[] = [];
    for await (const message of this.queue.list()) messages.push(message);
    return messages;
  }

  /** The log's events with the keys given, as `event value value`. */
  events(...keys: string[]): string[] {
    return this.log.map((line) => {
      const [event = '', ...facts] = line.split(/ (?=\w+=)/);
      const values = keys.flatMap((key) => facts.filter((fact) => fact.startsWith(`${key}=`)));
      return [event, ...values.map((fact) => fact.slice(fact.indexOf('=') + 1))].join(' ');
    });
  }
}
