// The part of the shared suite (queue-suite.ts) about destinations: who is handed out when, and who is passed over.

import assert from 'node:assert/strict';
import type { Job } from './queue.ts';
import { accept, addresses, type Declare, ids } from './queue-suite-bench.ts';

const destinations = (jobs: readonly Job[]) => jobs.map(({ destination }) => destination);

/** Destinations take turns. */
export function declareFairness(test: Declare): void {
  test('claim() gives each destination of a message a job of its own', async ({ clock, queue, reopen }) => {
    await accept(
      queue(),
      'x',
      's@a',
      'remote:a@one',
      'remote:b@Two',
      'local:l@one',
      'remote:c@ONE',
      'remote:d',
    );
    for (const open of [async () => queue(), reopen]) {
      const jobs = await (await open()).claim('remote', clock.nowMs(), 10);
      const found = jobs.map((job) => [job.destination, ...addresses(job).flat()].join(' ')).sort();
      assert.deepEqual(found, [' 4 d', 'one 0 a@one 3 c@ONE', 'two 1 b@Two']);
      assert.ok(jobs.every(({ dueMs }) => dueMs === clock.nowMs()));
    }
  });

  test('settle() of one destination leaves the times of the others', async ({ clock, queue, reopen }) => {
    await accept(queue(), 'x', 's@a', 'remote:a@one', 'remote:b@two', 'remote:c@three');
    const jobs = await queue().claim('remote', clock.nowMs(), 10);
    const job = (name: string) => jobs.find(({ destination }) => destination === name)!;
    const laterMs = clock.nowMs() + 5000;
    await queue().settle(job('one'), [], laterMs);
    await queue().settle(job('two'), [{ index: 1, state: 'done' }], laterMs + 1);
    await queue().settle(job('three'), [], clock.nowMs());
    const store = await reopen();
    assert.deepEqual(destinations(await store.claim('remote', clock.nowMs(), 10)), ['three']);
    assert.equal(store.nextDueMs('remote'), laterMs);
    assert.deepEqual(destinations(await store.claim('remote', laterMs, 10)), ['one']);
  });

  test('claim() lets destinations take turns, earliest due first inside', async ({
    clock,
    queue,
    reopen,
  }) => {
    for (let i = 0; i < 6; i++) await accept(queue(), 'x', 's@a', `remote:r${i}@big`);
    for (const name of ['two', 'three']) await accept(queue(), 'x', 's@a', `remote:r@${name}`);
    const store = await reopen();
    const jobs: Job[] = [];
    for (let i = 0; i < 8; i++) jobs.push(...(await store.claim('remote', clock.nowMs(), 1)));
    assert.deepEqual(destinations(jobs).slice(0, 3).sort(), ['big', 'three', 'two']);
    const big = ids(jobs.filter(({ destination }) => destination === 'big'));
    assert.deepEqual([big.length, big], [6, big.toSorted((a, b) => a - b)]);
  });

  test('claim() hands out new mail soon, however many destinations wait', async ({
    clock,
    queue,
    reopen,
  }) => {
    for (let i = 0; i < 60; i++) await accept(queue(), 'x', 's@a', `remote:r@d${i}`);
    const store = await reopen();
    await store.claim('remote', clock.nowMs(), 10);
    const fresh = await accept(store, 'x', 's@a', 'remote:r@fresh');
    assert.ok(ids(await store.claim('remote', clock.nowMs(), 2)).includes(fresh));
    await accept(store, 'x', 's@a', 'remote:new@d59');
    assert.ok(destinations(await store.claim('remote', clock.nowMs(), 2)).includes('d59'));
  });
}

/** Destinations that may not have their turn. */
export function declarePassingOver(test: Declare): void {
  test('claim() asks once about a destination that is not admitted, whatever it holds', async (bench) => {
    const { clock, queue, reopen } = bench;
    for (let i = 0; i < 300; i++) await accept(queue(), 'x', 's@a', 'remote:r@full');
    for (let i = 0; i < 3; i++) await accept(queue(), 'x', 's@a', 'remote:r@free');
    const store = await reopen();
    const asked: string[] = [];
    const admit = (destination: string) => {
      asked.push(destination);
      return destination !== 'full';
    };
    const jobs = await store.claim('remote', clock.nowMs(), 10, admit);
    assert.deepEqual(destinations(jobs), ['free', 'free', 'free']);
    assert.deepEqual(await store.claim('remote', clock.nowMs(), 10, admit), []);
    assert.deepEqual(asked.toSorted(), ['free', 'free', 'free', 'full']);
    assert.equal(store.nextDueMs('remote'), undefined);
  });

  test('resume() and new mail bring a destination back', async ({ clock, queue }) => {
    const first = await accept(queue(), 'x', 's@a', 'remote:r@full');
    const second = await accept(queue(), 'x', 's@a', 'remote:r@full');
    assert.deepEqual(await queue().claim('remote', clock.nowMs(), 10, () => false), []);
    queue().resume('remote', 'nobody');
    queue().resume('remote', 'full');
    assert.equal(queue().nextDueMs('remote'), clock.nowMs());
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 1)), [first]);
    assert.deepEqual(await queue().claim('remote', clock.nowMs(), 10, () => false), []);
    const third = await accept(queue(), 'x', 's@a', 'remote:r@full');
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 10)), [second, third]);
  });

  test('claim() brings back what was put back, at its old place', async ({ clock, queue }) => {
    const first = await accept(queue(), 'x', 's@a', 'remote:r@d');
    clock.advance(10);
    const second = await accept(queue(), 'x', 's@a', 'remote:r@d');
    const [job] = await queue().claim('remote', clock.nowMs(), 1);
    await queue().settle(job!, [], job!.dueMs);
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 10)), [first, second]);
  });

  test('remove() of a message keeps all its destinations from being handed out', async ({ clock, queue }) => {
    const gone = await accept(queue(), 'x', 's@a', 'remote:a@one', 'remote:b@two');
    const stay = await accept(queue(), 'x', 's@a', 'remote:c@one');
    const [job] = await queue().claim('remote', clock.nowMs(), 1, (destination) => destination === 'one');
    assert.equal(job!.id, gone);
    await queue().remove(gone);
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 10)), [stay]);
  });
}
