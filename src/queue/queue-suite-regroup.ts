// The part of the shared suite (queue-suite.ts) about messages that an operator sends another way.

import assert from 'node:assert/strict';
import { bytesOf } from '../core/bytes/bytes.ts';
import { chosenKey } from '../core/policy/route.ts';
import type { DestinationOf, Job, MessageId, Queue } from './queue.ts';
import { HELD_MS } from './queue.ts';
import { accept, addresses, type Declare, ids } from './queue-suite-bench.ts';

const toRelay: DestinationOf = ({ address }) => chosenKey(address, bytesOf('relay.example')) ?? '';
const toExchangers: DestinationOf = ({ address }) => chosenKey(address, bytesOf('')) ?? '';
const RELAY = '>relay.example:25';

async function handOut(queue: Queue, id: MessageId): Promise<Job[]> {
  const jobs = await queue.handOut(id);
  assert.ok(Array.isArray(jobs));
  return jobs;
}

/** Declares the tests. */
export function declareRegroup(test: Declare): void {
  declareChoice(test);
  declareTimes(test);
}

function declareChoice(test: Declare): void {
  test('regroup() puts what is left of a message into one job of the chosen destination, across restarts', async ({
    queue,
    clock,
    reopen,
  }) => {
    const to = ['local:a@here', 'remote:b@x.example', 'remote:c@y.example', 'remote:d@x.example'];
    const id = await accept(queue(), 'm', 's', ...to);
    const [first] = await queue().claim('remote', clock.nowMs(), 1);
    await queue().settle(first!, [{ index: 1, state: 'done' }], clock.nowMs() + 400_000);
    await queue().regroup(await handOut(queue(), id), toRelay, clock.nowMs());
    for (let turn = 0; turn < 2; turn++) {
      const jobs = await queue().claim('remote', clock.nowMs(), 10);
      assert.deepEqual(
        jobs.map((job) => [job.destination, addresses(job)]),
        [
          [
            RELAY,
            [
              [2, 'c@y.example'],
              [3, 'd@x.example'],
            ],
          ],
        ],
      );
      assert.deepEqual((await queue().find(id))?.destinations, [RELAY]);
      assert.deepEqual(ids(await queue().claim('local', clock.nowMs(), 10)), [id]);
      await reopen();
    }
    const [job] = await queue().claim('remote', clock.nowMs(), 10);
    const verdicts = [2, 3].map((index) => ({ index, state: 'done' }) as const);
    assert.equal((await queue().settle(job!, verdicts, clock.nowMs())).finished, false);
    const [local] = await queue().claim('local', clock.nowMs(), 10);
    assert.equal((await queue().settle(local!, [{ index: 0, state: 'done' }], 0)).finished, true);
    assert.equal(queue().stats().messages, 0);
  });

  test('regroup() by mail exchangers keeps a job for each domain, and without a choice all is as it was', async ({
    queue,
    clock,
    reopen,
  }) => {
    const id = await accept(queue(), 'm', 's', 'remote:b@x.example', 'remote:c@Y.example');
    const destinations = async () => [...((await queue().find(id))?.destinations ?? [])].sort();
    await queue().regroup(await handOut(queue(), id), toExchangers, clock.nowMs());
    assert.deepEqual(await destinations(), ['>@x.example', '>@y.example']);
    assert.equal((await queue().claim('remote', clock.nowMs(), 10)).length, 2);
    await reopen();
    assert.deepEqual(await destinations(), ['>@x.example', '>@y.example']);
    await queue().regroup(await handOut(queue(), id));
    for (let turn = 0; turn < 2; turn++) {
      assert.deepEqual(await destinations(), ['x.example', 'y.example']);
      assert.equal((await queue().claim('remote', clock.nowMs(), 10)).length, 2);
      await reopen();
    }
  });
}

function declareTimes(test: Declare): void {
  test('regroup() releases nothing that is held, and keeps due times unless told otherwise', async ({
    queue,
    clock,
    reopen,
  }) => {
    const held = await accept(queue(), 'held', 's', 'remote:b@x.example', 'remote:c@y.example');
    const later = await accept(queue(), 'later', 's', 'remote:b@z.example');
    await queue().reschedule(held, HELD_MS);
    await queue().reschedule(later, clock.nowMs() + 400_000);
    assert.deepEqual(await queue().overview(), { held: 1, oldestMs: clock.nowMs() });
    await queue().regroup(await handOut(queue(), held), toRelay, clock.nowMs());
    await queue().regroup(await handOut(queue(), later), toRelay);
    for (let turn = 0; turn < 2; turn++) {
      assert.deepEqual(await queue().claim('remote', clock.nowMs() + 399_999, 10), []);
      assert.equal((await queue().find(held))?.due.remote, HELD_MS);
      assert.equal((await queue().find(later))?.due.remote, clock.nowMs() + 400_000);
      await reopen();
    }
    await queue().reschedule(held, clock.nowMs());
    const [job, ...others] = await queue().claim('remote', clock.nowMs(), 10);
    assert.deepEqual([job?.id, job?.destination, others], [held, RELAY, []]);
    assert.equal((await queue().overview()).held, 0);
  });

  test('what is chosen is handed out in turn with the rest, and wakes whoever waits', async ({
    queue,
    clock,
  }) => {
    const all = [];
    for (let i = 0; i < 5; i++) all.push(await accept(queue(), 'm', 's', `remote:u${i}@x.example`));
    let woken = 0;
    queue().onDue(() => woken++);
    for (const id of all.slice(0, 3))
      await queue().regroup(await handOut(queue(), id), toRelay, clock.nowMs());
    assert.ok(woken > 0);
    const passedOver = await queue().claim('remote', clock.nowMs(), 10, (name) => name === RELAY);
    assert.deepEqual(ids(passedOver).sort(), all.slice(0, 3));
    queue().resume('remote', 'x.example');
    assert.deepEqual(ids(await queue().claim('remote', clock.nowMs(), 10)).sort(), all.slice(3));
    assert.deepEqual(await queue().regroup([]), undefined);
  });
}
