// The queue follows a change of routes: all of it, once, whatever is being delivered meanwhile and however often it is begun.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { chosenKey } from '../core/policy/route.ts';
import type { Facts } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../queue/memory-queue.ts';
import type { Recipient } from '../queue/queue.ts';
import { accept } from '../queue/queue-suite-bench.ts';
import { Regrouping } from './regrouping.ts';

function createBench(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-routes-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new ManualClock();
  const routes = { prefix: 'old ' };
  const destinationOf = ({ address, channel }: Recipient) =>
    channel === 'local' ? '' : routes.prefix + textOf(address).replace(/.*@/, '');
  const queue = new MemoryQueue(new MemoryQueueStorage(), clock, destinationOf);
  const told: [string, Facts][] = [];
  const log = { write: (event: string, facts: Facts) => void told.push([event, facts]) };
  const path = join(folder, 'routes');
  const open = () => new Regrouping({ queue, destinationOf, path, clock, log });
  const destinations = async () => {
    const found = [];
    for await (const message of queue.list()) found.push(message.destinations.join());
    return found;
  };
  return { clock, routes, queue, told, path, open, destinations };
}

test('after a change of routes everything has its new destination, once, but for what an operator chose', async (t) => {
  const { routes, queue, told, open, destinations } = createBench(t);
  for (let i = 0; i < 450; i++) await accept(queue, 'm', 's', 'local:a@here', 'remote:b@x');
  const chosen = await accept(queue, 'm', 's', 'remote:b@x');
  const jobs = await queue.handOut(chosen);
  assert.ok(Array.isArray(jobs));
  await queue.regroup(jobs, ({ address }) => chosenKey(address, bytesOf('relay')) ?? '');
  routes.prefix = 'new ';
  const regrouping = open();
  regrouping.start('new');
  await regrouping.done;
  assert.deepEqual(new Set(await destinations()), new Set(['new x', '>relay:25']));
  assert.deepEqual(told, [['queue.regrouped', { messages: 450 }]]);
  regrouping.start('new');
  await regrouping.done;
  assert.equal(told.length, 1);
  assert.equal((await queue.claim('local', 9e15, 999)).length, 450);
});

test('what is being delivered follows when the attempt has ended, and only then it is done', async (t) => {
  const { clock, routes, queue, path, open, destinations } = createBench(t);
  await accept(queue, 'm', 's', 'remote:a@x');
  const [job] = await queue.claim('remote', clock.nowMs(), 1);
  routes.prefix = 'new ';
  const regrouping = open();
  regrouping.start('new');
  while (clock.nextTimerMs() === undefined) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([await destinations(), existsSync(path)], [['old x'], false]);
  await queue.settle(job!, [], clock.nowMs() + 1);
  clock.advance(1000);
  await regrouping.done;
  assert.deepEqual(await destinations(), ['new x']);
  assert.equal(readFileSync(path, 'latin1').length, 64);
});

test('it rests three times as long as it has looked, and a new change does not wait for that', async (t) => {
  const { clock, queue, path, open } = createBench(t);
  for (let i = 0; i < 450; i++) await accept(queue, 'm', 's', 'remote:a@x');
  const { list } = queue;
  queue.list = async function* () {
    for await (const message of list.call(queue)) {
      clock.advance(1);
      yield message;
    }
  };
  const regrouping = open();
  const rested = async () => {
    while (clock.nextTimerMs() === undefined) await new Promise((resolve) => setImmediate(resolve));
    return clock.nextTimerMs()! - clock.nowMs();
  };
  regrouping.start('new');
  assert.equal(await rested(), 600);
  regrouping.start('newer');
  assert.deepEqual([await rested(), existsSync(path)], [600, false]);
  clock.advance(600);
  assert.deepEqual([await rested(), existsSync(path)], [600, false]);
  clock.advance(600);
  await regrouping.done;
  assert.equal(existsSync(path), true);
});

test('one that was interrupted is begun anew by the next process, and by the next change', async (t) => {
  const { clock, routes, queue, path, open, destinations } = createBench(t);
  await accept(queue, 'm', 's', 'remote:a@x');
  const [job] = await queue.claim('remote', clock.nowMs(), 1);
  routes.prefix = 'new ';
  const first = open();
  first.start('new');
  while (clock.nextTimerMs() === undefined) await new Promise((resolve) => setImmediate(resolve));
  await first.stop();
  assert.deepEqual([clock.nextTimerMs(), existsSync(path)], [undefined, false]);
  await queue.settle(job!, [], clock.nowMs());
  routes.prefix = 'newer ';
  const second = open();
  second.start('new');
  second.start('newer');
  await second.done;
  assert.deepEqual(await destinations(), ['newer x']);
});

test('messages to several destinations are parted anew, and trouble is told', async (t) => {
  const { routes, queue, told, open, destinations } = createBench(t);
  await accept(queue, 'm', 's', 'remote:a@x', 'remote:b@y', 'remote:c@x');
  routes.prefix = 'new ';
  const regrouping = open();
  regrouping.start('new');
  await regrouping.done;
  assert.deepEqual(await destinations(), ['new x,new y']);
  queue.handOut = async () => {
    throw new Error('disk is gone');
  };
  regrouping.start('other');
  await regrouping.done;
  assert.match(String(told.at(-1)?.[1]['reason']), /disk is gone/);
});
