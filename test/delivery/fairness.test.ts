// Ten thousand destinations in virtual time, half of them dead, one with a hundred thousand messages: how long a fresh
// message to a live destination takes, at several moments.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { MemoryQueueStorage } from '../../src/queue/memory-queue.ts';
import { PlayedDelivery } from './played-network.ts';
import { CONTROLS } from './support.ts';

const DESTINATIONS = 10_000;
const BACKLOG = 100_000;

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
