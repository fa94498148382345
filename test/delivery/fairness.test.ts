// Ten thousand destinations in virtual time, half of them dead, one with a hundred thousand messages: how long a fresh
// message to a live destination takes, at several moments. The network is played: a dead host keeps an attempt for a
// minute unless it is cut short, a live one answers after 20 ms and takes the message after 50 ms.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { NO_CONNECTION } from '../../src/core/policy/smtp-report.ts';
import { createDelivery } from '../../src/delivery/delivery.ts';
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

async function simulate(backlogAt: string) {
  const clock = new ManualClock();
  const queue = new MemoryQueue(new MemoryQueueStorage(), clock);
  const network = new PlayedNetwork(clock);
  const delivery = createDelivery({
    queue,
    clock,
    log: { write: () => undefined },
    policy: CONTROLS,
    submitBounce: () => Promise.reject(new Error('nothing bounces here')),
    local: { deliver: async () => ({ letter: 'K', text: '' }) },
    transport: network,
  });
  const accept = (address: string) =>
    queue.begin().commit({
      sender: bytesOf('s@a'),
      recipients: [{ channel: 'remote', address: bytesOf(address) }],
    });
  /** Lets time pass; everything that happens takes its own time. */
  const advanceTo = async (untilMs: number, isOver = () => false) => {
    while (clock.nowMs() < untilMs && !isOver()) {
      clock.advance(Math.min(clock.nextTimerMs() ?? untilMs, untilMs) - clock.nowMs());
      await new Promise(setImmediate);
    }
  };
  for (let i = 0; i < DESTINATIONS; i++) await accept(`u@${i % 2 === 0 ? 'dead' : 'live'}${i}`);
  for (let i = 0; i < BACKLOG; i++) await accept(`u${i}@${backlogAt}`);
  const startMs = clock.nowMs();
  await delivery.start();
  await new Promise(setImmediate);
  let probes = 0;
  /** How long a fresh message takes, ms. */
  const probe = async (domain: string) => {
    const address = `fresh${probes++}@${domain}`;
    const acceptedMs = clock.nowMs();
    await accept(address);
    await advanceTo(acceptedMs + 10_000, () => network.takenMs.has(address));
    return (network.takenMs.get(address) ?? Number.POSITIVE_INFINITY) - acceptedMs;
  };
  return { network, delivery, probe, advanceTo: (ms: number) => advanceTo(startMs + ms) };
}

for (const backlogAt of ['dead0', 'live1']) {
  test(`a fresh message takes less than a second while 100,000 wait for ${backlogAt}`, async () => {
    const { network, delivery, probe, advanceTo } = await simulate(backlogAt);
    const slowest: string[] = [];
    for (const moment of [0, 700, 10_000, 60_000, 200_000, 600_000]) {
      await advanceTo(moment);
      for (const domain of ['live77', 'live9999', 'live5001', `new${moment}`]) {
        const ms = await probe(domain);
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
