// Hosts that answer and then take a message a byte at a time, in virtual time: no delivery to them is cut, and a fresh message to
// another destination is on its way within a second all the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { MemoryQueueStorage } from '../../src/queue/memory-queue.ts';
import { PlayedDelivery } from './played-network.ts';
import { CONTROLS } from './support.ts';

const KNOWN = 50;

/** Delivery that has started, and had a message taken by the destinations live0 to live49. */
async function started(policy = CONTROLS): Promise<PlayedDelivery> {
  const played = new PlayedDelivery(new ManualClock(), new MemoryQueueStorage(), policy);
  await played.delivery.start();
  for (let i = 0; i < KNOWN; i++) await played.accept(`u@live${i}`);
  await played.advanceTo(played.clock.nowMs() + 10_000);
  assert.equal(played.network.taken, KNOWN);
  return played;
}

/** Fresh messages that took a second or more, looked at from time to time for half an hour. */
async function findLate(
  played: PlayedDelivery,
  domainsAt: (moment: number) => readonly string[],
): Promise<string[]> {
  const startMs = played.clock.nowMs();
  const late: string[] = [];
  for (const moment of [0, 500, 3000, 9900, 15_000, 30_000, 120_000, 900_000, 1_800_000]) {
    await played.advanceTo(startMs + moment);
    for (const domain of domainsAt(moment)) {
      const ms = await played.probe(domain);
      if (ms >= 1000) late.push(`${domain} after ${moment} ms: ${ms} ms`);
    }
  }
  return late;
}

/** Waits for what runs, as a stop does. */
async function stop(played: PlayedDelivery): Promise<void> {
  const { delivery, clock, network } = played;
  let isOver = false;
  const stopped = delivery.stop().then(() => {
    isOver = true;
  });
  await played.advanceTo(clock.nowMs() + 3_600_000, () => isOver);
  await stopped;
  assert.ok(network.runningMax <= 20, `${network.runningMax} deliveries at a time`);
}

test('one that was never seen, with a backlog, keeps nobody waiting, seen or not', async () => {
  const played = await started();
  for (let i = 0; i < 200; i++) await played.accept(`u${i}@slow`);
  const late = await findLate(played, (moment) => ['live3', `new${moment}`]);
  assert.deepEqual(late, []);
  assert.ok(played.network.takenMs.has('u0@slow'), 'what was under way went on to its end');
  await stop(played);
});

test('any number that were never seen keep no message from destinations that took one', async () => {
  const played = await started();
  for (let i = 0; i < 500; i++) await played.accept(`u@slow${i}`);
  const late = await findLate(played, (moment) => ['live1', `live${moment % KNOWN}`]);
  assert.deepEqual(late, []);
  await stop(played);
});

test('three that took messages quickly and then turn slow keep nobody waiting, seen or not', async () => {
  const played = await started();
  const turned = new Set(['live0', 'live1', 'live2']);
  played.network.isSlow = (domain) => turned.has(domain);
  for (let i = 0; i < 50; i++) for (const domain of turned) await played.accept(`more${i}@${domain}`);
  const late = await findLate(played, (moment) => ['live7', `new${moment}`]);
  assert.deepEqual(late, []);
  await stop(played);
});

test('a relay that took messages quickly and then turns slow keeps nobody waiting, seen or not', async () => {
  const played = await started({ ...CONTROLS, smtproutes: parseDomainMap([bytesOf('a.example:relay')]) });
  assert.ok((await played.probe('a.example')) < 100);
  played.network.isSlow = (host) => host === 'relay';
  for (let i = 0; i < 100; i++) await played.accept(`more${i}@a.example`);
  const late = await findLate(played, (moment) => ['live7', `new${moment}`]);
  assert.deepEqual(late, []);
  await stop(played);
});

test('one that was slow has its full share again after a message that it takes quickly', async () => {
  const played = await started();
  played.network.isSlow = (domain) => domain === 'live0';
  for (let i = 0; i < 5; i++) await played.accept(`a${i}@live0`);
  await played.advanceTo(played.clock.nowMs() + 1_250_000);
  assert.ok(played.network.takenMs.has('a4@live0'));
  played.network.isSlow = () => false;
  assert.ok((await played.probe('live0')) < 100);
  const beforeMs = played.clock.nowMs();
  for (let i = 0; i < 50; i++) await played.accept(`b${i}@live0`);
  await played.advanceTo(beforeMs + 10_000, () => played.network.takenMs.has('b49@live0'));
  assert.equal(played.clock.nowMs() - beforeMs, 10 * 50, 'five at a time');
  await stop(played);
});
