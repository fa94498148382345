// An operator's orders against the plainest store: what is selected, what happens, and what waits for running attempts.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { Facts } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../queue/memory-queue.ts';
import type { FinishedMessage } from '../queue/queue.ts';
import { accept } from '../queue/queue-suite-bench.ts';
import { openBounced } from './bounced-files.ts';
import { type Action, isHeld, Operator, type Order, type OrderResult } from './operator.ts';
import { isSelective, type Selection } from './selection.ts';

function createBench() {
  const clock = new ManualClock();
  const queue = new MemoryQueue(new MemoryQueueStorage(), clock);
  const ended: FinishedMessage[] = [];
  const told: [string, Facts][] = [];
  const log = { write: (event: string, facts: Facts) => void told.push([event, facts]) };
  const silent = { write: () => undefined };
  const home = mkdtempSync(join(tmpdir(), 'mini-qmail-operator-'));
  after(() => rmSync(home, { recursive: true }));
  const bounced = openBounced(home, clock);
  const operator = new Operator({
    ...{ queue, clock, log, events: silent },
    finish: (message) => void ended.push(message),
    classify: (address) => ({ address, channel: 'remote' }),
    bounced,
  });
  const order = async (action: Action, selection: Selection, dryRun = false, more: Partial<Order> = {}) => {
    const results: [number, OrderResult][] = [];
    const summary = await operator.carryOut({ action, selection, dryRun, ...more }, ({ id }, { result }) =>
      results.push([id, result]),
    );
    return { results, summary };
  };
  return { clock, queue, operator, order, ended, told, bounced };
}

/** Lets promises settle, as many turns as a handful of store calls take. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('a selection takes what meets every criterion, without regard to case', async () => {
  const { queue, clock, order } = createBench();
  const old = await accept(queue, 'm', 'Ann@A.example', 'remote:x@One.example', 'remote:y@two.example');
  clock.advance(10_000);
  const bounce = await accept(queue, 'm', '', 'remote:x@one.example');
  const young = await accept(queue, 'm', 'ann@a.example', 'local:x@sub.one.example');
  const select = async (selection: Selection) =>
    (await order('hold', selection, true)).results.map(([id]) => id);
  assert.deepEqual(await select({ all: true }), [old, bounce, young]);
  assert.deepEqual(await select({ sender: 'ann@A.EXAMPLE' }), [old, young]);
  assert.deepEqual(await select({ sender: '<>' }), [bounce]);
  assert.deepEqual(await select({ recipient: '@one.example' }), [old, bounce]);
  assert.deepEqual(await select({ recipient: 'Y@Two.example' }), [old]);
  assert.deepEqual(await select({ olderSeconds: 10 }), [old]);
  assert.deepEqual(await select({ sender: 'ann@a.example', recipient: '@one.example' }), [old]);
  assert.deepEqual(await select({ ids: [young, 99, bounce], sender: 'ann@a.example' }), [young]);
  assert.deepEqual((await order('rm', { all: true }, true)).summary.selected, 3);
  assert.equal(queue.stats().messages, 3);
  assert.equal(isSelective({}), false);
  assert.equal(isSelective({ all: true }), true);
});

test('hold, retry and release keep to what they are for', async () => {
  const { queue, clock, order } = createBench();
  const first = await accept(queue, 'm', 's', 'remote:a@x.example');
  const second = await accept(queue, 'm', 's', 'remote:b@x.example');
  for (const job of await queue.claim('remote', clock.nowMs(), 9)) await queue.settle(job, [], 9e12);
  assert.deepEqual((await order('hold', { ids: [first] })).results, [[first, 'done']]);
  assert.equal(isHeld((await queue.find(first))!), true);
  assert.deepEqual((await order('retry', { all: true })).results, [[second, 'done']]);
  assert.deepEqual(
    (await queue.claim('remote', clock.nowMs(), 9)).map(({ id }) => id),
    [second],
  );
  assert.deepEqual((await order('release', { all: true })).results, [[first, 'done']]);
  assert.deepEqual(
    (await queue.claim('remote', clock.nowMs(), 9)).map(({ id }) => id),
    [first],
  );
});

test('bounce ends every recipient that is left, and has the bounce sent', async () => {
  const { queue, clock, order, ended, told } = createBench();
  const id = await accept(queue, 'm', 'ann@a', 'local:a@here', 'remote:b@x.example', 'remote:c@y.example');
  const [local] = await queue.claim('local', clock.nowMs(), 1);
  await queue.settle(local!, [{ index: 0, state: 'done' }], 0);
  assert.deepEqual((await order('bounce', { ids: [id] })).results, [[id, 'done']]);
  assert.deepEqual(
    ended.map((one) => [one.id, textOf(one.sender), one.failures.map(({ address }) => textOf(address))]),
    [[id, 'ann@a', ['b@x.example', 'c@y.example']]],
  );
  assert.match(ended[0]!.failures[0]!.report, /given up.*#5\.4\.7\)\n$/);
  assert.deepEqual((await order('rm', { ids: [id] })).results, [], 'what has nothing left is past it');
  assert.deepEqual(
    told.map(([event, facts]) => [event, facts['action'] ?? facts['channel'], facts['done']]),
    [
      ['delivery.failure', 'remote', undefined],
      ['delivery.failure', 'remote', undefined],
      ['operator', 'bounce', 1],
      ['operator', 'rm', 0],
    ],
  );
});

test('rm of a message that is being delivered waits for the end of the attempt', async () => {
  const { queue, clock, order, operator } = createBench();
  const id = await accept(queue, 'm', 's', 'remote:a@x.example', 'remote:b@x.example');
  const [job] = await queue.claim('remote', clock.nowMs(), 1);
  assert.deepEqual((await order('rm', { ids: [id] })).results, [[id, 'waiting']]);
  clock.advance(500);
  await settle();
  assert.equal(queue.stats().messages, 1);
  await queue.settle(job!, [{ index: 0, state: 'done' }], clock.nowMs());
  assert.deepEqual(await queue.claim('remote', clock.nowMs() + 1e9, 9), [], 'no further attempt');
  clock.advance(500);
  await settle();
  assert.equal(queue.stats().messages, 0);
  const { delivered, removed, queued } = queue.tally();
  assert.deepEqual([delivered, removed, queued], [1, 1, 0]);
  assert.equal(clock.nextTimerMs(), undefined);
  await operator.stop();
});

test('a release calls off what waits for the end of an attempt', async () => {
  const { queue, clock, order } = createBench();
  const id = await accept(queue, 'm', 's', 'remote:a@x.example');
  const [job] = await queue.claim('remote', clock.nowMs(), 1);
  await order('rm', { ids: [id] });
  assert.deepEqual((await order('release', { ids: [id] })).results, [[id, 'done']]);
  await queue.settle(job!, [], clock.nowMs());
  clock.advance(10_000);
  await settle();
  assert.equal(queue.stats().messages, 1);
});

test('trouble with one message does not keep an order from the others', async () => {
  const { queue, order } = createBench();
  const ids: number[] = [];
  for (let i = 0; i < 3; i++) ids.push(await accept(queue, 'm', 's', 'remote:a@x.example'));
  const remove = queue.remove.bind(queue);
  queue.remove = async (id) => {
    if (id === ids[1]) throw new Error('disk full');
    return remove(id);
  };
  const { results, summary } = await order('rm', { all: true });
  assert.deepEqual(results.sort(), [
    [ids[0], 'done'],
    [ids[1], 'trouble'],
    [ids[2], 'done'],
  ]);
  assert.deepEqual([summary.done, summary.trouble], [2, 1]);
  // It is not left handed out to nobody.
  assert.ok(Array.isArray(await queue.handOut(ids[1]!)));
});

test('stop() ends an order between two steps, and nothing is done afterwards', async () => {
  const { queue, operator } = createBench();
  for (let i = 0; i < 3000; i++) await accept(queue, 'm', 's', 'remote:a@x.example');
  let stopping: Promise<void> | undefined;
  const order = operator.carryOut({ action: 'rm', selection: { all: true } }, () => {
    stopping ??= operator.stop();
  });
  await assert.rejects(order, /the hub stops/);
  await stopping;
  const left = queue.stats().messages;
  assert.ok(left > 0 && left < 3000, String(left));
  await settle();
  assert.equal(queue.stats().messages, left);
});

test('a purge of 20,000 messages lets intake go on, and takes exactly what was there', async () => {
  const { queue, order } = createBench();
  const take = async (sender: string) => {
    const intake = queue.begin();
    void intake.write(bytesOf('m'));
    return intake.commit({
      sender: bytesOf(sender),
      recipients: [{ channel: 'remote', address: bytesOf('a@x.example') }],
    });
  };
  for (let i = 0; i < 20_000; i++) await take(i % 4 === 0 ? 'keep@a' : 'purge@a');
  let isOver = false;
  let during = 0;
  const intake = (async () => {
    while (!isOver) {
      await take('keep@a');
      during++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const { summary } = await order('rm', { sender: 'purge@a' });
  isOver = true;
  await intake;
  assert.equal(summary.done, 15_000);
  assert.ok(during >= 15_000 / 500, `only ${during} messages came in meanwhile`);
  assert.equal(queue.stats().messages, 5000 + during);
  const { accepted, removed, queued } = queue.tally();
  assert.deepEqual([accepted, removed, queued], [20_000 + during, 15_000, 5000 + during]);
});

test('reroute sends what is left another way, waits for a delivery under way, and leaves local mail alone', async () => {
  const { queue, clock, order, operator } = createBench();
  const local = await accept(queue, 'm', 's', 'local:a@here');
  const mixed = await accept(queue, 'm', 's', 'local:a@here', 'remote:b@x.example', 'remote:c@y.example');
  const busy = await accept(queue, 'm', 's', 'remote:d@z.example');
  const [job] = await queue.claim('remote', clock.nowMs(), 1, (name) => name === 'z.example');
  const all = { all: true };
  const { results } = await order('reroute', all, false, { route: 'Relay.example' });
  assert.deepEqual(results.sort(), [
    [mixed, 'done'],
    [busy, 'waiting'],
  ]);
  assert.deepEqual((await queue.find(mixed))?.destinations, ['>relay.example:25']);
  assert.deepEqual((await queue.find(local))?.destinations, []);
  assert.equal(isHeld((await queue.find(busy))!), false);
  await queue.settle(job!, [], clock.nowMs() + 400_000);
  clock.advance(500);
  await settle();
  assert.deepEqual((await queue.find(busy))?.destinations, ['>relay.example:25']);
  assert.equal(queue.nextDueMs('remote'), clock.nowMs() - 500);
  await order('reroute', { ids: [mixed] }, false, { route: '' });
  assert.deepEqual((await queue.find(mixed))?.destinations, ['>@x.example', '>@y.example']);
  await order('reroute', { ids: [mixed] });
  assert.deepEqual((await queue.find(mixed))?.destinations, ['x.example', 'y.example']);
  assert.equal((await queue.claim('local', clock.nowMs(), 9)).length, 2);
  await operator.stop();
});

const BOUNCED = {
  ...{ id: 7, birthMs: 1, bouncedMs: 1e12, size: 5, noticeId: 8, sender: bytesOf('ann-@b.example-@[]') },
  recipients: [
    { address: bytesOf('virtual-x@here'), channel: 'local', report: 'no such user\n' },
    { address: bytesOf('\xe9@far.example'), channel: 'remote', report: '550 no\n' },
  ],
} as const;

test('resend queues a kept message anew for those that failed, with its sender, and forgets the copy', async () => {
  const { queue, order, bounced, told } = createBench();
  await bounced.keep(BOUNCED, bytesOf('S:\n\nx'));
  assert.deepEqual((await order('resend', { recipient: '@elsewhere.example' })).results, []);
  const { results, summary } = await order('resend', { recipient: '@far.example' });
  assert.deepEqual([results, summary.done], [[[7, 'done']], 1]);
  const messages = [];
  for await (const message of queue.list()) messages.push(message);
  assert.deepEqual(
    messages.map(({ sender, recipients }) => [
      textOf(sender),
      recipients.map(({ address, channel, state }) => [textOf(address), channel, state]),
    ]),
    [
      [
        'ann-@b.example-@[]',
        [
          ['virtual-x@here', 'local', 'todo'],
          ['\xe9@far.example', 'remote', 'todo'],
        ],
      ],
    ],
  );
  const body = textOf(await queue.read(messages[0]!.id));
  assert.match(body, /^Received: \(qmail \d+ invoked for resend of message 7\); .*\nS:\n\nx$/);
  assert.deepEqual(told.find(([event]) => event === 'resent')?.[1]['of'], 7);
  assert.equal(await bounced.find(7), undefined);
  assert.deepEqual((await order('resend', { ids: [7] })).results, []);
});

test('resend --to sends to somebody else alone', async () => {
  const { queue, order, bounced } = createBench();
  await bounced.keep(BOUNCED, bytesOf('S:\n\nx'));
  await order('resend', { all: true }, false, { to: 'new@else.example' });
  const [job, ...others] = await queue.claim('remote', 9e15, 9);
  assert.deepEqual(
    [job?.recipients.map(({ address }) => textOf(address)), others],
    [['new@else.example'], []],
  );
});

test('a resend that ends before the copy is gone makes no second message when it is ordered again', async () => {
  const { queue, order, bounced } = createBench();
  await bounced.keep(BOUNCED, bytesOf('S:\n\nx'));
  const remove = bounced.remove.bind(bounced);
  bounced.remove = async () => {
    throw new Error('killed here');
  };
  assert.equal((await order('resend', { ids: [7] })).summary.trouble, 1);
  assert.equal(queue.stats().messages, 1);
  bounced.remove = remove;
  assert.equal((await order('resend', { ids: [7] })).summary.done, 1);
  assert.equal(queue.stats().messages, 1);
  assert.equal(await bounced.find(7), undefined);
});
