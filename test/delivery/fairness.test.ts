// Ten thousand destinations in virtual time, half of them dead, one with a hundred thousand messages: how long a fresh
// message to a live destination takes, at several moments. The network is played: a dead host keeps an attempt for a
// minute unless it is cut short, a live one answers after 20 ms and takes the message after 50 ms.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { NO_CONNECTION } from '../../src/core/policy/smtp-report.ts';
import { createDelivery, type Delivery } from '../../src/delivery/delivery.ts';
import type { RemoteDelivery, RemoteResult, RemoteTransport } from '../../src/delivery/transport.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../../src/queue/memory-queue.ts';
import { CONTROLS } from './support.ts';

const DESTINATIONS = 10_000;
const BACKLOG = 100_000;
const isDead = (domain: string) => domain.startsWith('dead');

/** A network in virtual time. */
class PlayedNetwork implements RemoteTransport {
  readonly #clock: ManualClock;
  /** When the first message to each address was taken. */
  readonly takenMs = new Map<string, number>();
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
        cancel = this.#clock.after(30, take);
      };
      let cancel = isDead(destination.host)
        ? this.#clock.after(60_000, () => end('none', NO_CONNECTION))
        : this.#clock.after(20, answer);
      signal?.addEventListener('abort', cut);
    });
  }

  async close(): Promise<void> {}
}

/** Delivery of a queue in memory over a played network. */
class PlayedDelivery {
  readonly queue: MemoryQueue;
  readonly network: PlayedNetwork;
  readonly delivery: Delivery;
  readonly #clock: ManualClock;
  #probes = 0;

  constructor(clock: ManualClock, storage: MemoryQueueStorage) {
    this.#clock = clock;
    this.queue = new MemoryQueue(storage, clock);
    this.network = new PlayedNetwork(clock);
    this.delivery = createDelivery({
      queue: this.queue,
      clock,
      log: { write: () => undefined },
      policy: CONTROLS,
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
    while (this.#clock.nowMs() < untilMs && !isOver()) {
      this.#clock.advance(Math.min(this.#clock.nextTimerMs() ?? untilMs, untilMs) - this.#clock.nowMs());
      await new Promise(setImmediate);
    }
  }

  /** How long a fresh message takes, ms. */
  async probe(domain: string): Promise<number> {
    const address = `fresh${this.#probes++}@${domain}`;
    const acceptedMs = this.#clock.nowMs();
    await this.accept(address);
    await this.advanceTo(acceptedMs + 10_000, () => this.network.takenMs.has(address));
    return (this.network.takenMs.get(address) ?? Number.POSITIVE_INFINITY) - acceptedMs;
  }
}

for (const backlogAt of ['dead0', 'live1']) {
  test(`a fresh message takes less than a second while 100,000 wait for ${backlogAt}`, async () => {
    const clock = new ManualClock();
    const played = new PlayedDelivery(clock, new MemoryQueueStorage());
    const { network, delivery } = played;
    for (let i = 0; i < DESTINATIONS; i++) await played.accept(`u@${i % 2 === 0 ? 'dead' : 'live'}${i}`);
    for (let i = 0; i < BACKLOG; i++) await played.accept(`u${i}@${backlogAt}`);
    const startMs = clock.nowMs();
    await delivery.start();
    const slowest: string[] = [];
    for (const moment of [0, 700, 10_000, 60_000, 200_000, 600_000]) {
      await played.advanceTo(startMs + moment);
      for (const domain of ['live77', 'live9999', 'live5001', `new${moment}`]) {
        const ms = await played.probe(domain);
        if (ms >= 1000) slowest.push(`${domain} after ${moment} ms: ${ms} ms`);
      }
    }
    assert.deepEqual(slowest, []);
    assert.ok(network.runningMax <= CONTROLS.concurrencyremote);
    const untouched = Array.from({ length: DESTINATIONS / 2 }, (_, i) => `u@live${2 * i + 1}`).filter(
      (address) => !network.takenMs.has(address),
    );
    assert.deepEqual(untouched, [], 'every live destination got its message');
    await delivery.stop();
  });
}

test('a list message goes to its live domains although half of its domains are dead, and a crash repeats nothing', async () => {
  const clock = new ManualClock();
  const storage = new MemoryQueueStorage();
  const recipients = Array.from({ length: 20_000 }, (_, i) => ({
    channel: 'remote' as const,
    address: bytesOf(`u${i}@${i % 2 === 0 ? 'dead' : 'live'}${i % 1000}`),
  }));
  const first = new PlayedDelivery(clock, storage);
  await first.queue.begin().commit({ sender: bytesOf('list-@a-@[]'), recipients });
  await first.delivery.start();
  await first.advanceTo(clock.nowMs() + 5000);
  const takenBefore = first.network.taken;
  assert.ok(takenBefore > 200 && takenBefore < 10_000, `${takenBefore} taken in five seconds`);
  // The first process is gone; what it had under way may be delivered once more.
  const second = new PlayedDelivery(clock, storage);
  await second.delivery.start();
  await second.advanceTo(clock.nowMs() + 120_000);
  const taken = new Set([...first.network.takenMs.keys(), ...second.network.takenMs.keys()]);
  assert.equal(taken.size, 10_000);
  const twice = takenBefore + second.network.taken - taken.size;
  assert.ok(twice <= CONTROLS.concurrencyremote, `${twice} taken twice`);
  await second.delivery.stop();
});
