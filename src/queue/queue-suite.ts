// The tests that every store of messages passes: runQueueSuite('name', harness) in the store's own test file. They hold
// the store to src/queue/queue.ts as seen from outside; what is on disk, and crashes in the middle, are the store's own tests.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { SystemError } from '../host/system-error.ts';
import type { Channel, Job, MessageId, Queue, QueuedMessage } from './queue.ts';
import { accept, addresses, type Declare, ids } from './queue-suite-bench.ts';
import { declareDsn } from './queue-suite-dsn.ts';
import { declareFairness, declarePassingOver } from './queue-suite-fairness.ts';
import { declareHasten } from './queue-suite-hasten.ts';
import { declareOperator } from './queue-suite-operator.ts';
import { declareRegroup } from './queue-suite-regroup.ts';
import { declareResubmission } from './queue-suite-resubmission.ts';

/** A place where a store can be opened again and again; each test gets its own. */
export interface QueueHarness {
  /** Opens the store at its place; after the earlier one was closed it holds what that one held. */
  open(clock: Clock): Promise<Queue>;
  /** Removes the place; the store is closed by then. */
  cleanUp(): Promise<void>;
}

/** Declares the tests for one kind of store. */
export function runQueueSuite(name: string, createHarness: () => Promise<QueueHarness>): void {
  const declare: Declare = (sentence, check) => {
    it(sentence, async () => {
      const harness = await createHarness();
      const clock = new ManualClock();
      let queue = await harness.open(clock);
      const reopen = async () => {
        await queue.close();
        queue = await harness.open(clock);
        return queue;
      };
      try {
        await check({ clock, queue: () => queue, reopen });
      } finally {
        await queue.close();
        await harness.cleanUp();
      }
    });
  };
  describe(name, () => {
    declareIntake(declare);
    declareBounds(declare);
    declareClaim(declare);
    declareFairness(declare);
    declarePassingOver(declare);
    declareSettle(declare);
    declareHasten(declare);
    declareOperator(declare);
    declareRegroup(declare);
    declareFinish(declare);
    declareRestart(declare);
    declareResubmission(declare);
    declareDsn(declare);
    declareView(declare);
  });
}

/** The one job of the channel that is due. */
async function claimOne(queue: Queue, channel: Channel, nowMs: number): Promise<Job> {
  const jobs = await queue.claim(channel, nowMs, 10);
  assert.equal(jobs.length, 1);
  return jobs[0]!;
}

async function listAll(queue: Queue): Promise<QueuedMessage[]> {
  const messages: QueuedMessage[] = [];
  for await (const message of queue.list()) messages.push(message);
  return messages;
}

function declareIntake(test: Declare): void {
  test('commit() makes the message due at once, with everything that was given', async ({ clock, queue }) => {
    const id = await accept(
      queue(),
      'Subject: x\n\nbody\n',
      'joe@a',
      'local:ann@b',
      'remote:bob@c',
      'local:cy@b',
    );
    const local = await claimOne(queue(), 'local', clock.nowMs());
    const remote = await claimOne(queue(), 'remote', clock.nowMs());
    assert.ok(Number.isSafeInteger(id) && id > 0);
    assert.equal(local.id, id);
    assert.equal(local.channel, 'local');
    assert.equal(local.birthMs, clock.nowMs());
    assert.equal(local.size, 17);
    assert.equal(textOf(local.sender), 'joe@a');
    assert.deepEqual(addresses(local), [
      [0, 'ann@b'],
      [2, 'cy@b'],
    ]);
    assert.equal(remote.channel, 'remote');
    assert.deepEqual(addresses(remote), [[1, 'bob@c']]);
    assert.equal(textOf(await queue().read(id)), 'Subject: x\n\nbody\n');
  });

  test('write() lets the caller reuse the array', async ({ queue }) => {
    const intake = queue().begin();
    const bytes = bytesOf('one ');
    await intake.write(bytes);
    bytes.set(bytesOf('two '));
    await intake.write(bytes);
    bytes.fill(0);
    const id = await intake.commit({
      sender: bytesOf(''),
      recipients: [{ channel: 'local', address: bytesOf('a@b') }],
    });
    assert.equal(textOf(await queue().read(id)), 'one two ');
  });

  test('begin() takes several messages at the same time and keeps them apart', async ({ clock, queue }) => {
    const intakes = Array.from({ length: 40 }, () => queue().begin());
    for (const part of ['first ', 'second ']) {
      for (const [i, intake] of intakes.entries()) await intake.write(bytesOf(part + i));
    }
    const to = { channel: 'remote', address: bytesOf('a@b') } as const;
    const given = await Promise.all(
      intakes.map((intake, i) => intake.commit({ sender: bytesOf(`s${i}`), recipients: [to] })),
    );
    assert.equal(new Set(given).size, 40);
    const jobs = await queue().claim('remote', clock.nowMs(), 100);
    assert.deepEqual(
      jobs.map(({ id, sender }) => [id, textOf(sender)]),
      given.map((id, i) => [id, `s${i}`]).sort((a, b) => Number(a[0]) - Number(b[0])),
    );
    for (const [i, id] of given.entries())
      assert.equal(textOf(await queue().read(id)), `first ${i}second ${i}`);
  });

  test('abort() leaves nothing', async ({ queue, reopen }) => {
    const intake = queue().begin();
    await intake.write(new Uint8Array(200_000));
    intake.abort();
    assert.equal(queue().nextDueMs('local'), undefined);
    assert.equal(queue().stats().messages, 0);
    assert.deepEqual(await listAll(await reopen()), []);
  });

  test('onDue() reports a commit', async ({ clock, queue }) => {
    const told = new Promise<void>((resolve) => queue().onDue(resolve));
    await accept(queue(), 'x', 's@a', 'remote:r@b');
    await told;
    assert.equal(queue().nextDueMs('remote'), clock.nowMs());
    assert.equal(queue().nextDueMs('local'), undefined);
  });
}

function declareBounds(test: Declare): void {
  test('commit() takes an empty message and an empty sender', async ({ clock, queue }) => {
    const id = await accept(queue(), '', '', 'local:a@b');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    assert.equal(job.sender.length, 0);
    assert.equal(job.size, 0);
    assert.equal((await queue().read(id)).length, 0);
  });

  test('commit() of a message without recipients leaves nothing to do', async ({ queue, reopen }) => {
    await accept(queue(), 'x', 's@a');
    assert.deepEqual(await listAll(queue()), []);
    assert.equal(queue().stats().messages, 0);
    assert.deepEqual(await (await reopen()).finished(), []);
  });

  test('commit() keeps any bytes in addresses', async ({ queue, clock, reopen }) => {
    const every = textOf(new Uint8Array(255).map((_, i) => i + 1));
    await accept(queue(), 'x', every, `local:${every}`, 'local:', `local:${'l'.repeat(1002)}`);
    for (const open of [async () => queue(), reopen]) {
      const store = await open();
      const job = await claimOne(store, 'local', clock.nowMs());
      assert.equal(textOf(job.sender), every);
      assert.deepEqual(
        job.recipients.map(({ address }) => textOf(address)),
        [every, '', 'l'.repeat(1002)],
      );
    }
  });

  test('read() gives back a large message written in pieces', async ({ queue, reopen }) => {
    const body = new Uint8Array(3_000_001).map((_, i) => (i * 31 + (i >> 8)) & 255);
    const intake = queue().begin();
    for (let at = 0; at < body.length; at += 65_521) await intake.write(body.subarray(at, at + 65_521));
    const to = { channel: 'remote', address: bytesOf('a@b') } as const;
    const id = await intake.commit({ sender: bytesOf('s@a'), recipients: [to] });
    assert.equal(Buffer.compare(await queue().read(id), body), 0);
    assert.equal(Buffer.compare(await (await reopen()).read(id), body), 0);
  });

  test('read() of a message that is not there is a SystemError', async ({ queue }) => {
    await assert.rejects(queue().read(12345), SystemError);
  });

  test('commit() takes thousands of recipients', async ({ clock, queue, reopen }) => {
    const to = Array.from({ length: 5000 }, (_, i) => `${i % 2 === 0 ? 'local' : 'remote'}:user${i}@host`);
    await accept(queue(), 'x', 's@a', ...to);
    const store = await reopen();
    const job = await claimOne(store, 'remote', clock.nowMs());
    assert.equal(job.recipients.length, 2500);
    assert.deepEqual(addresses(job)[2499], [4999, 'user4999@host']);
  });
}

function declareClaim(test: Declare): void {
  test('claim() hands out each job once', async ({ clock, queue }) => {
    await accept(queue(), 'x', 's@a', 'local:r@b');
    assert.equal((await queue().claim('local', clock.nowMs(), 10)).length, 1);
    assert.equal((await queue().claim('local', clock.nowMs(), 10)).length, 0);
    assert.equal(queue().nextDueMs('local'), undefined);
  });

  test('claim() keeps to the limit and goes on where it stopped', async ({ clock, queue }) => {
    const given: MessageId[] = [];
    for (let i = 0; i < 5; i++) given.push(await accept(queue(), 'x', 's@a', 'remote:r@b'));
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 0)), []);
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 2)), given.slice(0, 2));
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 10)), given.slice(2));
  });

  test('claim() gives nothing that is not due yet', async ({ clock, queue }) => {
    await accept(queue(), 'x', 's@a', 'remote:r@b');
    const job = await claimOne(queue(), 'remote', clock.nowMs());
    const dueMs = clock.nowMs() + 400_000;
    await queue().settle(job, [], dueMs);
    assert.equal(queue().nextDueMs('remote'), dueMs);
    assert.deepEqual(await queue().claim('remote', dueMs - 1, 10), []);
    assert.deepEqual(ids(await queue().claim('remote', dueMs, 10)), [job.id]);
  });

  test('claim() gives the earliest due first', async ({ clock, queue }) => {
    const base = clock.nowMs();
    const delays = [500, 100, 900, 300, 700, 200, 800, 400, 600, 1000];
    for (const _ of delays) await accept(queue(), 'x', 's@a', 'local:r@b');
    const jobs = await queue().claim('local', base, 10);
    for (const [i, job] of jobs.entries()) await queue().settle(job, [], base + delays[i]!);
    const again = await queue().claim('local', base + 1000, 10);
    const wanted = jobs.map((job, i) => ({ id: job.id, at: delays[i]! })).sort((a, b) => a.at - b.at);
    assert.deepEqual(
      ids(again),
      wanted.map(({ id }) => id),
    );
  });

  test('claim() of one channel leaves the other alone', async ({ clock, queue }) => {
    const both = await accept(queue(), 'x', 's@a', 'local:r@b', 'remote:r@c');
    const remote = await claimOne(queue(), 'remote', clock.nowMs());
    await queue().settle(remote, [], clock.nowMs() + 1000);
    assert.equal(queue().nextDueMs('local'), clock.nowMs());
    assert.equal((await claimOne(queue(), 'local', clock.nowMs())).id, both);
  });
}

function declareSettle(test: Declare): void {
  test('settle() keeps recipients without verdict for the next attempt', async ({ clock, queue, reopen }) => {
    await accept(queue(), 'x', 's@a', 'local:a@b', 'local:c@d', 'local:e@f');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    const dueMs = clock.nowMs() + 100_000;
    const outcome = await queue().settle(
      job,
      [
        { index: 0, state: 'done' },
        { index: 2, state: 'failed', report: 'no\n' },
      ],
      dueMs,
    );
    assert.equal(outcome.finished, false);
    for (const open of [async () => queue(), reopen]) {
      const store = await open();
      assert.equal(store.nextDueMs('local'), dueMs);
      assert.deepEqual(addresses(await claimOne(store, 'local', dueMs)), [[1, 'c@d']]);
    }
  });

  test('settle() calls the onDue listener when something is left', async ({ clock, queue }) => {
    await accept(queue(), 'x', 's@a', 'remote:r@b');
    const job = await claimOne(queue(), 'remote', clock.nowMs());
    const told = new Promise<void>((resolve) => queue().onDue(resolve));
    await queue().settle(job, [], clock.nowMs() + 5);
    await told;
  });

  test('settle() finishes a message only when both channels have nothing left', async ({ clock, queue }) => {
    await accept(queue(), 'x', 's@a', 'local:a@b', 'remote:c@d');
    const local = await claimOne(queue(), 'local', clock.nowMs());
    const remote = await claimOne(queue(), 'remote', clock.nowMs());
    const first = await queue().settle(local, [{ index: 0, state: 'done' }], 0);
    const second = await queue().settle(remote, [{ index: 1, state: 'done' }], 0);
    assert.equal(first.finished, false);
    assert.deepEqual(second, { finished: true, failures: [] });
    assert.equal(queue().nextDueMs('local'), undefined);
    assert.equal(queue().nextDueMs('remote'), undefined);
  });

  test('settle() gives all failures in order of failure', async ({ clock, queue }) => {
    await accept(queue(), 'x', 's@a', 'local:a@b', 'remote:c@d', 'remote:e@d');
    const remote = await claimOne(queue(), 'remote', clock.nowMs());
    const local = await claimOne(queue(), 'local', clock.nowMs());
    await queue().settle(remote, [{ index: 2, state: 'failed', report: 'e \xe9 said\nno\n' }], clock.nowMs());
    await queue().settle(local, [{ index: 0, state: 'failed', report: '' }], 0);
    const again = await claimOne(queue(), 'remote', clock.nowMs());
    const { finished, failures } = await queue().settle(
      again,
      [{ index: 1, state: 'failed', report: 'c' }],
      0,
    );
    assert.equal(finished, true);
    assert.deepEqual(
      failures.map(({ address, report }) => [textOf(address), report]),
      [
        ['e@d', 'e \xe9 said\nno\n'],
        ['a@b', ''],
        ['c@d', 'c'],
      ],
    );
  });

  test('settle() of a message removed meanwhile changes nothing', async ({ clock, queue }) => {
    await accept(queue(), 'x', 's@a', 'local:a@b');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    await queue().remove(job.id);
    const outcome = await queue().settle(job, [], clock.nowMs());
    assert.deepEqual(outcome, { finished: false, failures: [] });
    assert.equal(queue().nextDueMs('local'), undefined);
  });
}

function declareFinish(test: Declare): void {
  test('remove() takes the message away for good', async ({ clock, queue, reopen }) => {
    const id = await accept(queue(), 'x'.repeat(100_000), 's@a', 'local:a@b');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    await queue().settle(job, [{ index: 0, state: 'done' }], 0);
    await queue().remove(id);
    await assert.rejects(queue().read(id), SystemError);
    const store = await reopen();
    assert.deepEqual(await store.finished(), []);
    assert.deepEqual(await listAll(store), []);
    await assert.rejects(store.read(id), SystemError);
  });

  test('remove() of a waiting message keeps it from being handed out', async ({ clock, queue }) => {
    const gone = await accept(queue(), 'x', 's@a', 'local:a@b');
    const stays = await accept(queue(), 'x', 's@a', 'local:a@b');
    await queue().remove(gone);
    assert.deepEqual(ids(await queue().claim('local', clock.nowMs(), 10)), [stays]);
  });

  test('finished() hands out again what was not removed before the stop', async ({
    clock,
    queue,
    reopen,
  }) => {
    const failed = await accept(queue(), 'the body', 's@a', 'remote:a@b');
    const waiting = await accept(queue(), 'x', 's@a', 'remote:c@b');
    const [job] = await queue().claim('remote', clock.nowMs(), 1);
    await queue().settle(job!, [{ index: 0, state: 'failed', report: 'gone\n' }], 0);
    const birthMs = clock.nowMs();
    clock.advance(5000);
    const store = await reopen();
    const left = await store.finished();
    assert.deepEqual(
      left.map((one) => [one.id, textOf(one.sender), one.birthMs]),
      [[failed, 's@a', birthMs]],
    );
    assert.deepEqual(
      left[0]!.failures.map(({ address, report }) => [textOf(address), report]),
      [['a@b', 'gone\n']],
    );
    assert.equal(textOf(await store.read(failed)), 'the body');
    assert.deepEqual(ids(await store.claim('remote', clock.nowMs(), 10)), [waiting]);
    await store.remove(failed);
    assert.deepEqual(await (await reopen()).finished(), []);
  });

  test('settle() removes a message that ended without failures', async ({ clock, queue, reopen }) => {
    const id = await accept(queue(), 'x', 's@a', 'local:a@b');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    await queue().settle(job, [{ index: 0, state: 'done' }], 0);
    assert.deepEqual(queue().stats(), { messages: 0, accepted: 1, resubmissions: 0, finished: 1 });
    const store = await reopen();
    assert.deepEqual(await store.finished(), []);
    await assert.rejects(store.read(id), SystemError);
  });
}

function declareRestart(test: Declare): void {
  test('settle() without a next time records verdicts and leaves the job out', async (bench) => {
    const { clock, queue, reopen } = bench;
    await accept(queue(), 'x', 's@a', 'remote:a@b', 'remote:c@b', 'remote:e@B');
    const job = await claimOne(queue(), 'remote', clock.nowMs());
    const partial = await queue().settle(
      job,
      [
        { index: 1, state: 'done' },
        { index: 2, state: 'failed', report: 'no' },
      ],
      undefined,
    );
    assert.equal(partial.finished, false);
    assert.equal(queue().nextDueMs('remote'), undefined);
    const again = await claimOne(await reopen(), 'remote', clock.nowMs());
    assert.deepEqual(addresses(again), [[0, 'a@b']]);
    const last = await queue().settle(again, [{ index: 0, state: 'done' }], clock.nowMs());
    assert.equal(last.finished, true);
    assert.equal(last.failures.length, 1);
  });

  test('a job that was handed out is due again after a restart', async ({ clock, queue, reopen }) => {
    const id = await accept(queue(), 'body', 's@a', 'local:a@b', 'remote:c@d');
    await claimOne(queue(), 'local', clock.nowMs());
    const store = await reopen();
    assert.equal((await claimOne(store, 'local', clock.nowMs())).id, id);
    assert.equal((await claimOne(store, 'remote', clock.nowMs())).id, id);
    assert.equal(textOf(await store.read(id)), 'body');
  });

  test('an id is never used twice', async ({ clock, queue, reopen }) => {
    const first = await accept(queue(), 'x', 's@a', 'local:a@b');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    await queue().settle(job, [{ index: 0, state: 'done' }], 0);
    await queue().remove(first);
    const second = await accept(await reopen(), 'x', 's@a', 'local:a@b');
    assert.ok(second > first);
  });

  test('failures are kept over a restart, in order', async ({ clock, queue, reopen }) => {
    await accept(queue(), 'x', 's@a', 'local:a@b', 'local:c@d', 'local:e@f');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    await queue().settle(job, [{ index: 1, state: 'failed', report: 'one' }], clock.nowMs());
    let store = await reopen();
    const second = await claimOne(store, 'local', clock.nowMs());
    await store.settle(second, [{ index: 0, state: 'failed', report: 'two\xff' }], clock.nowMs());
    store = await reopen();
    const third = await claimOne(store, 'local', clock.nowMs());
    const { failures } = await store.settle(third, [{ index: 2, state: 'done' }], 0);
    assert.deepEqual(
      failures.map(({ report }) => report),
      ['one', 'two\xff'],
    );
  });
}

function declareView(test: Declare): void {
  test('list() shows every message, oldest first, with states and times', async ({ clock, queue }) => {
    const first = await accept(queue(), '12345', 's@a', 'local:a@b', 'remote:c@d', 'remote:e@d');
    clock.advance(1000);
    const second = await accept(queue(), 'x', '', 'local:g@h');
    const job = await claimOne(queue(), 'remote', clock.nowMs());
    const dueMs = clock.nowMs() + 77_000;
    await queue().settle(job, [{ index: 1, state: 'done' }], dueMs);
    const listed = await listAll(queue());
    assert.deepEqual(
      listed.map(({ id }) => id),
      [first, second],
    );
    const { birthMs, size, sender, recipients, due } = listed[0]!;
    assert.deepEqual([birthMs, size, textOf(sender)], [clock.nowMs() - 1000, 5, 's@a']);
    assert.deepEqual(
      recipients.map(({ address, channel, state }) => `${channel} ${textOf(address)} ${state}`),
      ['local a@b todo', 'remote c@d done', 'remote e@d todo'],
    );
    assert.deepEqual(due, { local: clock.nowMs() - 1000, remote: dueMs });
    assert.deepEqual(listed[1]!.due, { local: clock.nowMs() });
  });

  test('stats() counts what came, what went and what is here', async ({ clock, queue }) => {
    const id = await accept(queue(), 'x', 's@a', 'local:a@b');
    await accept(queue(), 'x', 's@a', 'remote:a@b');
    const job = await claimOne(queue(), 'local', clock.nowMs());
    await queue().settle(job, [{ index: 0, state: 'done' }], 0);
    await queue().remove(id);
    assert.deepEqual(queue().stats(), { messages: 1, accepted: 2, resubmissions: 0, finished: 1 });
  });
}
