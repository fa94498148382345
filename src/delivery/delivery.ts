// The delivery side of the hub: everything that becomes of a message after it was accepted. Puts the two channels and
// the bouncer on one queue. docs/internals/delivery.md tells how an attempt goes.

import type { DomainMap } from '../core/format/domain-map.ts';
import type { DestinationRule, DestinationRules } from '../core/policy/destination-rules.ts';
import type { EnvelopeDsn } from '../core/policy/notification.ts';
import { longestRetryMs } from '../core/policy/retry-schedule.ts';
import { findDestination, parseRelay, readChosenKey, relayKey } from '../core/policy/route.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import type { Channel, DestinationOf, FinishedMessage, Job, JobRecipient, Queue } from '../queue/queue.ts';
import type { Unit } from './attempt.ts';
import type { BounceRates } from './bounce-limit.ts';
import { Bouncer, type BouncerSettings } from './bouncer.ts';
import { ChannelDriver, type ChannelSettings, type RunUnit, type UnitResult } from './channel-driver.ts';
import { ClockWatch } from './clock-watch.ts';
import type { LimitSettings } from './limit.ts';
import { type NoticePolicy, Notices, type SubmitBounce } from './notices.ts';
import type { LocalTransport, RemoteTransport } from './transport.ts';

/** The limits and rules of delivery; readDeliveryControls() reads them from control files. */
export interface DeliveryPolicy extends NoticePolicy, BounceRates {
  /** Age after which a temporary failure is final, seconds. */
  readonly queuelifetime: number;
  /** Age at which a sender that asked for it is told of a delay, seconds; 0 for never. */
  readonly delaywarning: number;
  /** Deliveries at a time; 0 holds the channel. */
  readonly concurrencylocal: number;
  readonly concurrencyremote: number;
  readonly smtproutes: DomainMap;
  /** What is different for some destinations. */
  readonly destinations: DestinationRules;
}

/** What delivery is made of. */
export interface DeliverySettings {
  /** Its destinations should be those of {@link createDestinationOf}. */
  readonly queue: Queue;
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: RemoteTransport;
  readonly local: LocalTransport;
  readonly policy: DeliveryPolicy;
  /** See createBounceSubmitter(). */
  readonly submitBounce: SubmitBounce;
  readonly onBounced?: BouncerSettings['onBounced'];
  /** Connections to one destination at a time unless smtproutes names it, which gets three quarters of concurrencyremote. */
  readonly perDestination?: number;
}

/** Deliveries under way. */
export interface Delivery {
  /** Takes up what the last process left, then whatever is due, from now on. Call once. */
  start(): Promise<void>;
  /** Goes by these rules from now on; deliveries that run are not touched. */
  reload(destinations: DestinationRules): void;
  /** Deliveries under way, by channel. */
  running(): Readonly<Record<Channel, number>>;
  /** Bounces a message that was ended by somebody else, and removes it. */
  finish(message: FinishedMessage): void;
  /** Starts nothing any more and waits for running deliveries; their verdicts and bounces are on disk when it resolves. */
  stop(): Promise<void>;
}

const PER_DESTINATION = 5;
const BACK_OFF_MAX_MS = 3_600_000;
// A relay is the only way out: it is asked again soon.
const RELAY_BACK_OFF_MAX_MS = 300_000;

/**
 * How a queue names destinations, so that what can share a connection is one job: the relay of smtproutes, else the domain.
 * @param routes what holds smtproutes as they are at each call
 */
export function createDestinationOf(routes: { readonly smtproutes: DomainMap }): DestinationOf {
  return ({ address, channel }) =>
    channel === 'local' ? '' : (findDestination(address, routes.smtproutes)?.key ?? '');
}

/** Sets up delivery for a queue; nothing happens before start(). */
export function createDelivery(settings: DeliverySettings): Delivery {
  const { queue, policy } = settings;
  const bouncer = new Bouncer({ ...settings, controls: policy });
  const notices = new Notices({ ...settings, controls: policy });
  let rules = policy.destinations;
  const createChannel = (channel: Channel, own: ChannelPolicy) =>
    new ChannelDriver({
      ...settings,
      channel,
      smtproutes: () => policy.smtproutes,
      delaywarning: policy.delaywarning,
      tell: (job, notifications, untilMs) => notices.tell(job, notifications, untilMs),
      onFinished: ({ id, sender, birthMs, dsn }, { failures }) =>
        bouncer.finish({ id, sender, birthMs, failures, dsn }),
      ...own,
    });
  const local = createChannel('local', createLocalPolicy(settings));
  const remote = createChannel(
    'remote',
    createRemotePolicy(settings, () => rules),
  );
  const channels = [local, remote];
  const wake = () => {
    for (const channel of channels) channel.wake();
  };
  const watch = new ClockWatch({
    ...settings,
    longestRetryMs: () =>
      Math.max(
        longestRetryMs(Math.max(policy.queuelifetime, rules.longestLifetimeSeconds)),
        rules.longestRetryMs,
      ),
    onStep: wake,
  });
  return {
    async start() {
      for (const message of await queue.finished()) bouncer.finish(message);
      queue.onDue(wake);
      wake();
      watch.start();
    },
    reload(destinations) {
      rules = destinations;
      for (const channel of channels) channel.reload();
    },
    running: () => ({ local: local.running, remote: remote.running }),
    finish: (message) => bouncer.finish(message),
    async stop() {
      watch.stop();
      await Promise.all(channels.map((channel) => channel.stop()));
      await bouncer.stop();
      await settings.transport.close();
    },
  };
}

type ChannelPolicy = Pick<
  ChannelSettings,
  'concurrency' | 'trusting' | 'limitOf' | 'groupOf' | 'backOffMaxMs' | 'retryOf' | 'run'
>;

/** All local recipients are one destination, which may use every slot and is never left alone. */
function createLocalPolicy({ policy, local }: DeliverySettings): ChannelPolicy {
  const { concurrencylocal: concurrency } = policy;
  return {
    concurrency,
    trusting: true,
    limitOf: () => ({ concurrency, spacingMs: 0, suspended: false }),
    groupOf: () => undefined,
    backOffMaxMs: () => 0,
    retryOf: () => ({ lifetimeSeconds: policy.queuelifetime, retrySeconds: undefined }),
    run: (unit, message) => runLocal(local, unit, message),
  };
}

function createRemotePolicy(settings: DeliverySettings, rules: () => DestinationRules): ChannelPolicy {
  const { policy, transport, perDestination = PER_DESTINATION } = settings;
  const { concurrencyremote } = policy;
  // Nothing that is slow from one moment to the next may hold every slot.
  const share = concurrencyremote - Math.floor(concurrencyremote / 4);
  const relays = createRelayFinder(policy);
  const ruleOf = (destination: string) =>
    rules().find(relays(destination) ?? readChosenKey(destination)?.host ?? destination);
  return {
    concurrency: concurrencyremote,
    trusting: false,
    limitOf: (destination) =>
      limitBy(
        ruleOf(destination),
        relays(destination) !== undefined ? share : Math.min(share, perDestination),
      ),
    groupOf(exchanger) {
      const rule = rules().findGroup(exchanger);
      return rule && { name: rule.name, limit: limitBy(rule, concurrencyremote) };
    },
    backOffMaxMs: (destination) =>
      relays(destination) === undefined ? BACK_OFF_MAX_MS : RELAY_BACK_OFF_MAX_MS,
    retryOf(destination) {
      const { lifetimeSeconds = policy.queuelifetime, retrySeconds } = ruleOf(destination) ?? {};
      return { lifetimeSeconds, retrySeconds };
    },
    run: createRunRemote(transport),
  };
}

/** Tells the host of a destination that is a relay, be it of smtproutes as they are now or one that an operator chose. */
function createRelayFinder(policy: DeliveryPolicy): (destination: string) => string | undefined {
  let known: DomainMap | undefined;
  let relays = new Map<string, string>();
  return (destination) => {
    if (known !== policy.smtproutes) {
      known = policy.smtproutes;
      relays = new Map(known.listValues().map((value) => [relayKey(value), parseRelay(value).host]));
    }
    const chosen = readChosenKey(destination);
    return chosen?.routed === true ? chosen.host : relays.get(destination);
  };
}

function limitBy(rule: DestinationRule | undefined, concurrency: number): LimitSettings {
  return {
    concurrency: rule?.concurrency ?? concurrency,
    spacingMs: rule?.spacingMs ?? 0,
    suspended: rule?.suspended ?? false,
  };
}

async function runLocal(local: LocalTransport, unit: Unit, message: Uint8Array): Promise<UnitResult> {
  const { sender, attempt } = unit;
  const { birthMs, id } = attempt.job;
  const outcomes = await Promise.all(
    unit.recipients.map(({ index, address }) => {
      const identity = { birthMs, message: id, recipient: index };
      return local.deliver({ identity, address, sender, message });
    }),
  );
  return { outcomes, contact: 'answered' };
}

function createRunRemote(transport: RemoteTransport): RunUnit {
  return async ({ attempt, destination, sender, recipients: to }, message, signal, onAnswer) => {
    if (destination === undefined) return { outcomes: [], contact: 'answered' };
    const recipients = to.map(({ address }) => address);
    const dsn = dsnOf(attempt.job, to);
    return transport.deliver({
      ...{ destination, sender, recipients, message, signal, onAnswer },
      ...(dsn && { dsn }),
    });
  };
}

function dsnOf({ dsn }: Job, recipients: readonly JobRecipient[]): EnvelopeDsn | undefined {
  if (dsn === undefined && recipients.every((one) => one.dsn === undefined)) return undefined;
  return { message: dsn, recipients: recipients.map((one) => one.dsn) };
}
