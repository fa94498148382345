// How bounced messages come to be kept: at the right moment, by their failed recipients alone, whole or not at all over a crash, and
// never in the way of the message's end.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseDomainMap } from '../core/format/domain-map.ts';
import { Bouncer, type BouncerSettings } from '../delivery/bouncer.ts';
import type { Facts } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../queue/memory-queue.ts';
import type { FinishedMessage } from '../queue/queue.ts';
import { accept } from '../queue/queue-suite-bench.ts';
import { createKeeper } from './administration.ts';
import { openBounced } from './bounced-files.ts';
import { Counters } from './counters.ts';

const CONTROLS = {
  bouncefrom: bytesOf('MAILER-DAEMON'),
  bouncehost: bytesOf('here'),
  doublebounceto: bytesOf('postmaster'),
  doublebouncehost: bytesOf('here'),
  virtualdomains: parseDomainMap([]),
  bounceformat: 'report',
  bouncemaxbytes: 1000,
  bouncerate: 0,
  bouncerateall: 0,
} as const;

async function createBench(t: TestContext, sender = 'ann@b') {
  const home = mkdtempSync(join(tmpdir(), 'mini-qmail-keeping-'));
  t.after(() => rmSync(home, { recursive: true }));
  const clock = new ManualClock();
  const queue = new MemoryQueue(new MemoryQueueStorage(), clock);
  const bounced = openBounced(home, clock);
  t.after(() => bounced.close());
  const counters = new Counters();
  const told: [string, Facts][] = [];
  const log = { write: (event: string, facts: Facts) => void told.push([event, facts]) };
  const keeper = createKeeper(queue, bounced, clock, counters);
  let notices = 0;
  const finish = async (message: FinishedMessage, more: Partial<BouncerSettings> = {}) => {
    const submitBounce = async () => 100 + ++notices;
    const ended = new Promise<void>((resolve) => {
      const write = (event: string, facts: Facts) => {
        log.write(event, facts);
        if (event === 'message.end' || facts['what'] === 'bounce') resolve();
      };
      const bouncer = new Bouncer({
        ...{ queue, clock, log: { write }, controls: CONTROLS, submitBounce, onBounced: keeper, ...more },
      });
      bouncer.finish(message);
    });
    await ended;
  };
  const id = await accept(queue, 'S:\n\nx', sender, 'remote:ok@x', 'remote:gone@x');
  const [job] = await queue.claim('remote', clock.nowMs(), 1);
  const verdicts = [
    { index: 0, state: 'done' },
    { index: 1, state: 'failed', report: 'no such user\n' },
  ] as const;
  await queue.settle(job!, verdicts, 0);
  const [message] = await queue.finished();
  return { queue, bounced, counters, told, keeper, finish, id, message: message! };
}

test('a message is kept with those that failed, while it is still in the queue', async (t) => {
  const { queue, bounced, counters, keeper, finish, id, message } = await createBench(t);
  const onBounced: typeof keeper = async (...told) => {
    assert.equal(queue.stats().messages, 1);
    await keeper(...told);
  };
  await finish(message, { onBounced });
  const kept = await bounced.find(id);
  assert.deepEqual(
    kept?.recipients.map(({ address, channel, report }) => [textOf(address), channel, report]),
    [['gone@x', 'remote', 'no such user\n']],
  );
  assert.deepEqual([kept.noticeId, textOf(await bounced.read(id))], [101, 'S:\n\nx']);
  assert.deepEqual([queue.stats().messages, counters.read().keptBounced], [0, 1]);
});

test('trouble with the copy is told, and the message ends all the same', async (t) => {
  const { queue, bounced, told, finish, id, message } = await createBench(t);
  await finish(message, {
    onBounced: async () => {
      throw new Error('disk full');
    },
  });
  assert.equal(queue.stats().messages, 0);
  assert.equal(await bounced.find(id), undefined);
  const trouble = told.find(([event]) => event === 'delivery.trouble');
  assert.deepEqual([trouble?.[1]['what'], trouble?.[1]['text']], ['keep', 'disk full']);
});

test('a crash between the copy and the end of the message leaves one copy, and it is found by the next process', async (t) => {
  const { queue, bounced, finish, id, message } = await createBench(t);
  const remove = queue.remove.bind(queue);
  queue.remove = async () => {
    throw new Error('killed here');
  };
  await finish(message);
  queue.remove = remove;
  const [again] = await queue.finished();
  assert.equal(again?.id, id);
  await finish(again);
  assert.equal((await bounced.stats()).messages, 1);
  assert.equal(queue.stats().messages, 0);
});

test('a notice that fails is not kept', async (t) => {
  const { bounced, finish, message } = await createBench(t, '');
  await finish(message);
  assert.equal((await bounced.stats()).messages, 0);
});
