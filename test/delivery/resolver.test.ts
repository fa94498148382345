// A resolver that fails or is silent, for half of the domains or for all, in virtual time: the other domains get their mail
// within a second, nobody gets any twice, and what waited goes out when the resolver is well again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlayedDelivery } from './played-network.ts';

const DOMAINS = 500;
const FAILING = 250;

async function countQueued(played: PlayedDelivery): Promise<number> {
  let count = 0;
  for await (const { recipients } of played.queue.list())
    count += recipients.filter(({ state }) => state === 'todo').length;
  return count;
}

for (const fault of ['fails', 'silence'] as const) {
  test(`a resolver's ${fault} for half of the domains holds up none of the others`, async () => {
    const played = new PlayedDelivery();
    const { network, clock, delivery } = played;
    let isDown = true;
    network.resolve = (domain) => (isDown && domain.startsWith('bad') ? fault : 'ok');
    await delivery.start();
    for (let i = 0; i < FAILING; i++) for (let k = 0; k < 4; k++) await played.accept(`u${k}@bad${i}`);
    const startMs = clock.nowMs();
    const late: string[] = [];
    for (const moment of [0, 3000, 60_000, 600_000, 3_000_000]) {
      await played.advanceTo(startMs + moment);
      for (const domain of ['live', `new${moment}`]) {
        const ms = await played.probe(domain);
        if (ms >= 1000) late.push(`${domain} after ${moment} ms: ${ms} ms`);
      }
    }
    assert.deepEqual(late, []);
    assert.deepEqual([network.taken, await countQueued(played)], [10, 4 * FAILING]);
    isDown = false;
    // The longest that one of that age waits.
    await played.advanceTo(clock.nowMs() + 3 * 3_600_000);
    assert.deepEqual([network.taken, await countQueued(played)], [10 + 4 * FAILING, 0]);
    await delivery.stop();
  });

  test(`a resolver's ${fault} for all domains loses nothing, and all goes out once, when it is well again`, async () => {
    const played = new PlayedDelivery();
    const { network, clock, delivery } = played;
    let isDown = true;
    network.resolve = () => (isDown ? fault : 'ok');
    await delivery.start();
    for (let i = 0; i < DOMAINS; i++) await played.accept(`u@far${i}`);
    await played.advanceTo(clock.nowMs() + 3_600_000);
    assert.deepEqual([network.taken, await countQueued(played)], [0, DOMAINS]);
    isDown = false;
    assert.ok((await played.probe('fresh')) < 1000);
    await played.advanceTo(clock.nowMs() + 2 * 3_600_000);
    assert.deepEqual(
      [network.taken, network.takenMs.size, await countQueued(played)],
      [DOMAINS + 1, DOMAINS + 1, 0],
    );
    await delivery.stop();
  });
}
