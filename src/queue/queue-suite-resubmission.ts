// The part of the shared suite (queue-suite.ts) about messages that are submitted again.

import assert from 'node:assert/strict';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { Accepted, Queue } from './queue.ts';
import { accept, type Declare, ids } from './queue-suite-bench.ts';

const DAY_MS = 86_400_000;
const FIRST = '\0fingerprint\xff n1';
const SECOND = '\0fingerprint\xff n2';

/** Submits a message to one local recipient with that fingerprint. */
async function submit(queue: Queue, fingerprint: string, body = 'body'): Promise<Accepted> {
  const intake = queue.begin();
  await intake.write(bytesOf(body));
  const recipients = [{ channel: 'local' as const, address: bytesOf('a@here') }];
  return intake.commitOnce({ sender: bytesOf('s'), recipients }, fingerprint);
}

/** Delivers all that is due. */
async function deliver(queue: Queue, nowMs: number): Promise<string[]> {
  const jobs = await queue.claim('local', nowMs, 100);
  const bodies = [];
  for (const job of jobs) {
    bodies.push(textOf(await queue.read(job.id)));
    await queue.settle(job, [{ index: 0, state: 'done' }], nowMs);
  }
  return bodies;
}

/** Declares the tests. */
export function declareResubmission(test: Declare): void {
  test('commitOnce() takes a message once, also when it is delivered and gone', async ({ clock, queue }) => {
    const { id } = await submit(queue(), FIRST, 'one');
    assert.deepEqual(await submit(queue(), FIRST, 'again'), { id, isResubmission: true });
    assert.deepEqual(await deliver(queue(), clock.nowMs()), ['one']);
    assert.deepEqual(await submit(queue(), FIRST, 'again'), { id, isResubmission: true });
    assert.equal(queue().nextDueMs('local'), undefined);
    assert.equal(queue().stats().messages, 0);
    assert.equal(queue().stats().accepted, 1);
    assert.equal(queue().stats().resubmissions, 2);
  });

  test('commitOnce() takes what has another fingerprint, and commit() takes everything', async ({
    queue,
  }) => {
    const first = await submit(queue(), FIRST);
    const second = await submit(queue(), SECOND);
    assert.deepEqual([first.isResubmission, second.isResubmission], [false, false]);
    const third = await accept(queue(), 'body', 's', 'local:a@here');
    const fourth = await accept(queue(), 'body', 's', 'local:a@here');
    assert.equal(new Set([first.id, second.id, third, fourth]).size, 4);
    assert.equal(queue().stats().resubmissions, 0);
  });

  test('commitOnce() of the same at the same time takes one', async ({ clock, queue }) => {
    const submissions = [1, 2, 3, 4].map(() => submit(queue(), FIRST));
    const all = await Promise.all(submissions);
    assert.equal(new Set(all.map(({ id }) => id)).size, 1);
    assert.equal(all.filter(({ isResubmission }) => !isResubmission).length, 1);
    assert.deepEqual(ids(await queue().claim('local', clock.nowMs(), 10)), [all[0]!.id]);
  });

  test('commitOnce() recognises a large message and leaves nothing of its copy', async ({ clock, queue }) => {
    const body = 'x'.repeat(100_000);
    const { id } = await submit(queue(), FIRST, body);
    assert.deepEqual(await submit(queue(), FIRST, body), { id, isResubmission: true });
    assert.deepEqual(await deliver(queue(), clock.nowMs()), [body]);
  });

  test('commitOnce() recognises across restarts, of which any number may come', async ({
    clock,
    queue,
    reopen,
  }) => {
    const { id } = await submit(queue(), FIRST, 'one');
    const { id: other } = await submit(queue(), SECOND, 'two');
    await reopen();
    assert.deepEqual(await submit(queue(), FIRST), { id, isResubmission: true });
    assert.deepEqual((await deliver(queue(), clock.nowMs())).sort(), ['one', 'two']);
    for (let times = 0; times < 3; times++) {
      await reopen();
      assert.deepEqual(await submit(queue(), FIRST), { id, isResubmission: true });
      assert.deepEqual(await submit(queue(), SECOND), { id: other, isResubmission: true });
    }
    const { id: third } = await submit(queue(), 'another of 16 ch');
    assert.ok(third > other, `${third} is a new id`);
  });

  test('commitOnce() recognises for a day, across restarts too', async ({ clock, queue, reopen }) => {
    const { id } = await submit(queue(), FIRST);
    clock.advance(DAY_MS - 1);
    await reopen();
    assert.deepEqual(await submit(queue(), FIRST), { id, isResubmission: true });
    clock.advance(1);
    const again = await submit(queue(), FIRST);
    assert.equal(again.isResubmission, false);
    assert.notEqual(again.id, id);
    await reopen();
    assert.deepEqual(await submit(queue(), FIRST), { id: again.id, isResubmission: true });
  });
}
