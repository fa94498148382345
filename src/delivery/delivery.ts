// The delivery side of the hub: everything that becomes of a message after it was accepted. Puts the two channels and
// the bouncer on one queue. docs/internals/delivery.md tells how an attempt goes.

import type { DomainMap } from '../core/format/domain-map.ts';
import type { BounceControls } from '../core/policy/bounce.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import type { Channel, Queue } from '../queue/queue.ts';
import type { Unit } from './attempt.ts';
import { Bouncer, type SubmitBounce } from './bouncer.ts';
import { ChannelDriver } from './channel-driver.ts';
import type { LocalTransport, RemoteTransport } from './transport.ts';

/** The limits and rules of delivery; readDeliveryControls() reads them from control files. */
export interface DeliveryPolicy extends BounceControls {
  /** Age after which a temporary failure is final, seconds. */
  readonly queuelifetime: number;
  /** Deliveries at a time; 0 holds the channel. */
  readonly concurrencylocal: number;
  readonly concurrencyremote: number;
  readonly smtproutes: DomainMap;
}

/** What delivery is made of. */
export interface DeliverySettings {
  readonly queue: Queue;
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: RemoteTransport;
  readonly local: LocalTransport;
  readonly policy: DeliveryPolicy;
  /** See createBounceSubmitter(). */
  readonly submitBounce: SubmitBounce;
  /** Connections to one destination at a time unless smtproutes names it, which gets concurrencyremote. */
  readonly perDestination?: number;
}

/** Deliveries under way. */
export interface Delivery {
  /** Takes up what the last process left, then whatever is due, from now on. Call once. */
  start(): Promise<void>;
  /** Starts nothing any more and waits for running deliveries; their verdicts and bounces are on disk when it resolves. */
  stop(): Promise<void>;
}

const PER_DESTINATION = 5;

/** Sets up delivery for a queue; nothing happens before start(). */
export function createDelivery(settings: DeliverySettings): Delivery {
  const { queue, clock, log, policy, submitBounce } = settings;
  const bouncer = new Bouncer({ queue, clock, log, controls: policy, submitBounce });
  const createChannel = (channel: Channel, concurrency: number, run: ChannelRun) =>
    new ChannelDriver({
      channel,
      queue,
      clock,
      log,
      concurrency,
      run,
      perDestination: settings.perDestination ?? PER_DESTINATION,
      lifetimeSeconds: policy.queuelifetime,
      smtproutes: policy.smtproutes,
      onFinished: ({ id, sender, birthMs }, { failures }) =>
        bouncer.finish({ id, sender, birthMs, failures }),
    });
  const channels = [
    createChannel('local', policy.concurrencylocal, (unit, message) =>
      runLocal(settings.local, unit, message),
    ),
    createChannel('remote', policy.concurrencyremote, (unit, message) =>
      runRemote(settings.transport, unit, message),
    ),
  ];
  return {
    async start() {
      for (const message of await queue.finished()) bouncer.finish(message);
      queue.onDue(() => {
        for (const channel of channels) channel.wake();
      });
      for (const channel of channels) channel.wake();
    },
    async stop() {
      await Promise.all(channels.map((channel) => channel.stop()));
      await bouncer.stop();
      await settings.transport.close();
    },
  };
}

type ChannelRun = (unit: Unit, message: Uint8Array) => Promise<readonly Outcome[]>;

function runLocal(local: LocalTransport, unit: Unit, message: Uint8Array): Promise<Outcome[]> {
  const { sender, attempt } = unit;
  const { birthMs, id } = attempt.job;
  return Promise.all(
    unit.recipients.map(({ index, address }) => {
      const identity = { birthMs, message: id, recipient: index };
      return local.deliver({ identity, address, sender, message });
    }),
  );
}

async function runRemote(transport: RemoteTransport, unit: Unit, message: Uint8Array): Promise<Outcome[]> {
  const { destination, sender } = unit;
  if (destination === undefined) return [];
  const recipients = unit.recipients.map(({ address }) => address);
  return transport.deliver({ destination, sender, recipients, message });
}
