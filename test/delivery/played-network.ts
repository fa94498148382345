// A network in virtual time with delivery of a queue in memory over it: a dead host keeps an attempt for a minute unless it is
// cut short, a live one answers after 20 ms and takes the message after 50 ms, a slow one answers after 20 ms and takes the
// message after twenty minutes. A resolver can fail for some domains, at once or after twenty seconds of silence.

import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { LOOKUP_FAILED, NO_CONNECTION } from '../../src/core/policy/smtp-report.ts';
import { createDelivery, createDestinationOf, type Delivery } from '../../src/delivery/delivery.ts';
import type { RemoteDelivery, RemoteResult, RemoteTransport } from '../../src/delivery/transport.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../../src/queue/memory-queue.ts';
import { CONTROLS } from './support.ts';

const isDead = (domain: string) => domain.startsWith('dead');

const SLOW_MS = 1_200_000;
const RESOLVER_SILENCE_MS = 20_000;

/** A network in virtual time. */
export class PlayedNetwork implements RemoteTransport {
  readonly #clock: ManualClock;
  /** When the first message to each address was taken. */
  readonly takenMs = new Map<string, number>();
  /** Domains that answer, and then take a message a byte at a time. */
  isSlow = (domain: string) => domain.startsWith('slow');
  /** What the resolver does for a domain. */
  resolve: (domain: string) => 'ok' | 'fails' | 'silence' = () => 'ok';
  taken = 0;
  running = 0;
  runningMax = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  deliver({ destination, recipients, signal, onAnswer }: RemoteDelivery): Promise<RemoteResult> {
    this.runningMax = Math.max(this.runningMax, ++this.running);
    return new Promise((resolve) => {
      const end = (contact: RemoteResult['contact'], outcome: RemoteResult['outcomes'][number]) => {
        cancel();
        signal?.removeEventListener('abort', cut);
        this.running--;
        resolve({ outcomes: recipients.map(() => outcome), contact });
      };
      const cut = () => end('cut', NO_CONNECTION);
      const take = () => {
        for (const address of recipients.map(textOf)) {
          if (!this.takenMs.has(address)) this.takenMs.set(address, this.#clock.nowMs());
        }
        this.taken++;
        end('answered', { letter: 'K', text: 'ok\n' });
      };
      const answer = () => {
        signal?.removeEventListener('abort', cut);
        onAnswer?.(`mx.${destination.host}`);
        cancel = this.#clock.after(this.isSlow(destination.host) ? SLOW_MS : 30, take);
      };
      const unresolved = () => end('unresolved', LOOKUP_FAILED);
      const begin = () => {
        const resolved = this.resolve(destination.host);
        if (resolved !== 'ok')
          return this.#clock.after(resolved === 'fails' ? 1 : RESOLVER_SILENCE_MS, unresolved);
        if (isDead(destination.host)) return this.#clock.after(60_000, () => end('none', NO_CONNECTION));
        return this.#clock.after(20, answer);
      };
      let cancel = begin();
      signal?.addEventListener('abort', cut);
    });
  }

  async close(): Promise<void> {}
}

/** Delivery of a queue in memory over a played network. */
export class PlayedDelivery {
  readonly queue: MemoryQueue;
  readonly network: PlayedNetwork;
  readonly delivery: Delivery;
  readonly clock: ManualClock;
  #probes = 0;

  constructor(clock = new ManualClock(), storage = new MemoryQueueStorage(), policy = CONTROLS) {
    this.clock = clock;
    this.queue = new MemoryQueue(storage, clock, createDestinationOf(policy));
    this.network = new PlayedNetwork(clock);
    this.delivery = createDelivery({
      queue: this.queue,
      clock,
      log: { write: () => undefined },
      policy,
      submitBounce: () => Promise.reject(new Error('nothing bounces here')),
      local: { deliver: async () => ({ letter: 'K', text: '' }) },
      transport: this.network,
    });
  }

  accept(address: string) {
    const recipient = { channel: 'remote', address: bytesOf(address) } as const;
    return this.queue.begin().commit({ sender: bytesOf('s@a'), recipients: [recipient] });
  }

  /** Lets time pass; everything that happens takes its own time. */
  async advanceTo(untilMs: number, isOver = () => false): Promise<void> {
    await new Promise(setImmediate);
    while (this.clock.nowMs() < untilMs && !isOver()) {
      this.clock.advance(Math.min(this.clock.nextTimerMs() ?? untilMs, untilMs) - this.clock.nowMs());
      await new Promise(setImmediate);
    }
  }

  /** How long a fresh message takes, ms. */
  async probe(domain: string): Promise<number> {
    const address = `fresh${this.#probes++}@${domain}`;
    const acceptedMs = this.clock.nowMs();
    await this.accept(address);
    await this.advanceTo(acceptedMs + 10_000, () => this.network.takenMs.has(address));
    return (this.network.takenMs.get(address) ?? Number.POSITIVE_INFINITY) - acceptedMs;
  }
}
