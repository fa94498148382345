// The part of the shared suite (queue-suite.ts) about what operators do to single messages, and about the tally.

import assert from 'node:assert/strict';
import type { Queue } from './queue.ts';
import { HELD_MS } from './queue.ts';
import { accept, addresses, type Bench, type Declare, ids } from './queue-suite-bench.ts';

/** Declares the tests. */
export function declareOperator(test: Declare): void {
  declareHold(test);
  declareHandOut(test);
  declareTally(test);
}

async function claimAll(queue: Queue, nowMs: number) {
  return [...(await queue.claim('local', nowMs, 100)), ...(await queue.claim('remote', nowMs, 100))];
}

function declareHold(test: Declare): void {
  test('reschedule() to HELD_MS holds every part of a message, across a restart and hasten()', async ({
    queue,
    clock,
    reopen,
  }) => {
    const held = await accept(
      queue(),
      'held',
      's',
      'local:a@here',
      'remote:b@x.example',
      'remote:c@y.example',
    );
    const other = await accept(queue(), 'other', 's', 'remote:b@x.example');
    assert.equal(await queue().reschedule(held, HELD_MS), true);
    await reopen();
    await queue().hasten(clock.nowMs() + 1e9);
    const found = await queue().find(held);
    assert.deepEqual(found?.due, { local: HELD_MS, remote: HELD_MS });
    assert.deepEqual(ids(await claimAll(queue(), clock.nowMs() + 1e9)), [other]);
    assert.equal(queue().nextDueMs('local'), undefined);
    assert.equal(queue().nextDueMs('remote'), undefined);
  });

  test('reschedule() to another time lets a held message go', async ({ queue, clock, reopen }) => {
    const id = await accept(queue(), 'held', 's', 'local:a@here', 'remote:b@x.example');
    await queue().reschedule(id, HELD_MS);
    await reopen();
    let woken = 0;
    queue().onDue(() => woken++);
    assert.equal(await queue().reschedule(id, clock.nowMs() + 7), true);
    assert.ok(woken > 0);
    assert.deepEqual(await claimAll(queue(), clock.nowMs() + 6), []);
    assert.deepEqual(ids(await claimAll(queue(), clock.nowMs() + 7)), [id, id]);
  });

  test('what is handed out when its message is held stays held after the attempt', async (bench) => {
    const { queue, clock, reopen } = bench;
    const id = await accept(queue(), 'm', 's', 'remote:a@x.example', 'remote:b@x.example');
    const [job] = await queue().claim('remote', clock.nowMs(), 10);
    // Both at once: the attempt ends while the other is being written.
    const holding = queue().reschedule(id, HELD_MS);
    await queue().settle(job!, [{ index: 0, state: 'done' }], clock.nowMs() + 400_000);
    assert.equal(await holding, true);
    assert.deepEqual(await claimAll(queue(), clock.nowMs() + 1e9), []);
    await reopen();
    assert.deepEqual(await claimAll(queue(), clock.nowMs() + 1e9), []);
    await queue().reschedule(id, clock.nowMs());
    const [again] = await queue().claim('remote', clock.nowMs(), 10);
    assert.deepEqual(addresses(again!), [[1, 'b@x.example']]);
  });

  test('reschedule() takes back what waits in memory for its turn', async ({ queue, clock }) => {
    const all = [];
    for (let i = 0; i < 30; i++) all.push(await accept(queue(), 'm', 's', `remote:u${i}@x.example`));
    const [first] = await queue().claim('remote', clock.nowMs(), 1);
    for (const id of all.slice(1, 10)) await queue().reschedule(id, HELD_MS);
    await queue().reschedule(all[10]!, clock.nowMs() + 50);
    const rest = ids(await queue().claim('remote', clock.nowMs(), 100));
    assert.deepEqual([first!.id, ...rest].sort(byNumber), [all[0], ...all.slice(11)]);
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs() + 50, 100)), [all[10]]);
    for (const id of all.slice(1, 10)) await queue().reschedule(id, clock.nowMs());
    const released = ids(await queue().claim('remote', clock.nowMs(), 100));
    assert.deepEqual(released.sort(byNumber), all.slice(1, 10));
  });

  test('reschedule() and find() know what is gone', async ({ queue }) => {
    const id = await accept(queue(), 'm', 's', 'remote:a@x.example');
    await queue().remove(id);
    for (const gone of [id, id + 1000]) {
      assert.equal(await queue().reschedule(gone, HELD_MS), false);
      assert.equal(await queue().find(gone), undefined);
      assert.equal(await queue().handOut(gone), undefined);
    }
  });
}

function declareHandOut(test: Declare): void {
  test('handOut() gives all that is left, held or not due, and nobody else gets it', async ({
    queue,
    clock,
  }) => {
    const id = await accept(queue(), 'm', 's', 'local:a@here', 'remote:b@x.example', 'remote:c@y.example');
    const [local] = await queue().claim('local', clock.nowMs(), 1);
    await queue().settle(local!, [], clock.nowMs() + 400_000);
    await queue().reschedule(id, HELD_MS);
    const jobs = await queue().handOut(id);
    assert.ok(Array.isArray(jobs));
    assert.deepEqual(jobs.flatMap(addresses).sort(), [
      [0, 'a@here'],
      [1, 'b@x.example'],
      [2, 'c@y.example'],
    ]);
    assert.equal(await queue().handOut(id), 'busy');
    await queue().reschedule(id, clock.nowMs());
    assert.deepEqual(await claimAll(queue(), clock.nowMs() + 1e9), []);
    const results = [];
    for (const job of jobs) {
      const verdicts = job.recipients.map(
        ({ index }) => ({ index, state: 'failed', report: 'no\n' }) as const,
      );
      results.push(await queue().settle(job, verdicts, undefined));
    }
    assert.deepEqual(
      results.map(({ finished }) => finished),
      [false, false, true],
    );
    assert.equal(results[2]!.failures.length, 3);
  });

  test('handOut() does nothing while a part is being delivered', async ({ queue, clock }) => {
    const id = await accept(queue(), 'm', 's', 'remote:b@x.example', 'remote:c@y.example');
    const [job] = await queue().claim('remote', clock.nowMs(), 1);
    assert.equal(await queue().handOut(id), 'busy');
    const [other] = await queue().claim('remote', clock.nowMs(), 10);
    assert.notEqual(other!.destination, job!.destination);
    await queue().settle(job!, [], clock.nowMs() + 1000);
    assert.equal(await queue().handOut(id), 'busy');
    await queue().settle(
      other!,
      [{ index: other!.recipients[0]!.index, state: 'done' }],
      clock.nowMs() + 1000,
    );
    const jobs = await queue().handOut(id);
    assert.deepEqual(Array.isArray(jobs) && jobs.flatMap(addresses), addresses(job!));
  });

  test('handOut() gets what waits in memory for its turn', async ({ queue, clock }) => {
    const all = [];
    for (let i = 0; i < 10; i++) all.push(await accept(queue(), 'm', 's', `remote:u${i}@x.example`));
    const [first] = await queue().claim('remote', clock.nowMs(), 1);
    for (const id of all.filter((one) => one !== first!.id)) {
      assert.ok(Array.isArray(await queue().handOut(id)));
      await queue().remove(id);
    }
    assert.deepEqual(await queue().claim('remote', clock.nowMs() + 1e9, 100), []);
    assert.equal(queue().stats().messages, 1);
  });
}

function declareTally(test: Declare): void {
  test('tally() accounts for every recipient, across a restart', async ({ queue, clock, reopen }: Bench) => {
    const first = await accept(queue(), 'm', 's', 'local:a@here', 'remote:b@x.example', 'remote:c@y.example');
    const second = await accept(queue(), 'm', 's', 'remote:b@x.example', 'remote:d@x.example');
    await accept(queue(), 'm', 's');
    assert.deepEqual(queue().tally(), {
      ...{ atStart: 0, accepted: 5, delivered: 0, failed: 0, removed: 0, queued: 5 },
    });
    const [local] = await queue().claim('local', clock.nowMs(), 1);
    await queue().settle(local!, [{ index: 0, state: 'done' }], clock.nowMs());
    await queue().settle(local!, [{ index: 0, state: 'done' }], clock.nowMs());
    assert.equal(queue().tally().delivered, 1);
    await reopen();
    assert.deepEqual(queue().tally(), {
      ...{ atStart: 4, accepted: 0, delivered: 0, failed: 0, removed: 0, queued: 4 },
    });
    for (const job of await queue().claim('remote', clock.nowMs(), 10)) {
      if (job.id !== first) continue;
      const verdicts = job.recipients.map(({ index }) => ({ index, state: 'failed' }) as const);
      await queue().settle(job, verdicts, clock.nowMs());
    }
    await queue().remove(second);
    await accept(queue(), 'm', 's', 'remote:e@z.example');
    const [job] = await queue().claim('remote', clock.nowMs(), 10);
    await queue().settle(job!, [{ index: 0, state: 'done' }], clock.nowMs());
    assert.deepEqual(queue().tally(), {
      ...{ atStart: 4, accepted: 1, delivered: 1, failed: 2, removed: 2, queued: 0 },
    });
  });
}

function byNumber(a: number, b: number): number {
  return a - b;
}
