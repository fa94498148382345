// Scheduling, limits, bounces and restarts in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { diedReport } from '../../src/core/policy/smtp-report.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { DeliveryBench } from './support.ts';

const OK: Outcome = { letter: 'K', text: 'ok\n' };
const LATER: Outcome = { letter: 'Z', text: 'later\n' };
const GONE: Outcome = { letter: 'D', text: 'gone\n' };

async function started(options: ConstructorParameters<typeof DeliveryBench>[0] = {}): Promise<DeliveryBench> {
  const bench = new DeliveryBench(options);
  await bench.delivery.start();
  return bench;
}

/** An answer that the test gives when it likes. */
function gate(): { readonly answer: Promise<Outcome>; readonly open: (outcome: Outcome) => void } {
  let open: (outcome: Outcome) => void = () => undefined;
  const answer = new Promise<Outcome>((resolve) => {
    open = resolve;
  });
  return { answer, open };
}

test('a message is delivered as soon as it is accepted, and gone', async () => {
  const bench = await started();
  await bench.accept('s@a', ['joe@mx.example', 'ann@far.example']);
  await bench.settle();
  assert.deepEqual(bench.delivered, ['joe@mx.example']);
  assert.deepEqual(bench.transactions, [
    { sender: 's@a', recipients: ['ann@far.example'], key: 'far.example' },
  ]);
  assert.deepEqual(await bench.queued(), []);
  assert.deepEqual(bench.events('id', 'channel', 'recipient', 'text', 'ms').sort(), [
    'delivery.success 1 local joe@mx.example ok/ 0',
    'delivery.success 1 remote ann@far.example ok/ 0',
  ]);
  await bench.delivery.stop();
  assert.equal(bench.clock.nextTimerMs(), undefined);
});

test('a deferred recipient is tried on schedule until it is delivered', async () => {
  const bench = await started();
  bench.answer = () => LATER;
  await bench.accept('s@a', ['ann@far.example']);
  await bench.settle();
  const birthMs = bench.clock.nowMs();
  const tries = [0];
  while (tries.length < 6) {
    const seen = bench.transactions.length;
    const timer = bench.clock.nextTimerMs();
    assert.ok(timer !== undefined);
    await bench.advance(timer - bench.clock.nowMs() - 1);
    assert.equal(bench.transactions.length, seen);
    await bench.advance(1);
    if (bench.transactions.length > seen) tries.push((bench.clock.nowMs() - birthMs) / 1000);
  }
  assert.deepEqual(tries, [0, 400, 1600, 3600, 6400, 10_000]);
  bench.answer = () => OK;
  await bench.advance(14_400_000 - 10_000_000);
  assert.deepEqual(await bench.queued(), []);
  assert.equal(bench.log.filter((line) => line.startsWith('delivery.deferral')).length, 6);
});

test('only the recipients that were deferred are tried again', async () => {
  const bench = await started();
  bench.answer = (to) => (to.startsWith('slow') ? LATER : OK);
  await bench.accept('s@a', ['joe@mx.example', 'slow@mx.example', 'slow2@far.example', 'ann@far.example']);
  await bench.settle();
  bench.answer = () => OK;
  await bench.advance(100_000);
  assert.deepEqual(bench.delivered, ['joe@mx.example', 'slow@mx.example', 'slow@mx.example']);
  await bench.advance(300_000);
  assert.deepEqual(
    bench.transactions.map(({ recipients }) => recipients),
    [['slow2@far.example', 'ann@far.example'], ['slow2@far.example']],
  );
  assert.deepEqual(await bench.queued(), []);
});

test('a failed recipient bounces to the sender when the others are finished', async () => {
  const bench = await started();
  bench.answer = (to) => (to === 'no@far.example' ? GONE : to === 'slow@far.example' ? LATER : OK);
  await bench.accept('joe@mx.example', ['no@far.example', 'slow@far.example']);
  await bench.settle();
  assert.deepEqual(bench.delivered, []);
  bench.answer = (to) => (to === 'slow@far.example' ? GONE : OK);
  const read = bench.queue.read.bind(bench.queue);
  const seen: string[] = [];
  bench.queue.read = async (id) => {
    const bytes = await read(id);
    seen.push(textOf(bytes));
    return bytes;
  };
  await bench.advance(400_000);
  assert.deepEqual(bench.delivered, ['joe@mx.example']);
  assert.deepEqual(await bench.queued(), []);
  const bounce = seen.at(-1)!;
  assert.match(bounce, /^Received: \(qmail \d+ invoked for bounce\); .* -0000\nDate: /);
  assert.match(
    bounce,
    /\n\n<no@far.example>:\ngone\n\n<slow@far.example>:\ngone\n\n--- Below this line is a copy/,
  );
  assert.ok(bounce.endsWith('\n\nReturn-Path: <joe@mx.example>\nSubject: t\n\nhello\n'));
  assert.ok(bench.events('id', 'bounceId', 'kind', 'recipient').includes('bounce 1 2 single joe@mx.example'));
});

test('a bounce that fails goes to the postmaster, and one that fails there is discarded', async () => {
  const bench = await started();
  bench.answer = () => GONE;
  await bench.accept('s@far.example', ['no@far.example']);
  await bench.settle();
  assert.deepEqual(
    bench.transactions.map(({ sender, recipients }) => [sender, ...recipients]),
    [
      ['s@far.example', 'no@far.example'],
      ['', 's@far.example'],
    ],
  );
  assert.deepEqual(bench.delivered, ['postmaster@mx.example']);
  assert.deepEqual(await bench.queued(), []);
  assert.deepEqual(
    bench.events('id', 'kind').filter((line) => line.startsWith('bounce')),
    ['bounce 1 single', 'bounce 2 double', 'bounce 3 triple'],
  );
});

test('a message that is too old fails with the report that it waited too long', async () => {
  const bench = await started({ controls: { queuelifetime: 1000 } });
  bench.answer = (to) => (to === 's@far.example' ? OK : LATER);
  await bench.accept('s@far.example', ['slow@far.example']);
  await bench.settle();
  for (const seconds of [400, 1200]) await bench.advance(seconds * 1000);
  const failures = bench.log.filter((line) => line.startsWith('delivery.failure'));
  assert.equal(failures.length, 1);
  assert.match(
    failures[0]!,
    /later\/I'm not going to try again; this message has been in the queue too long\.\//,
  );
  assert.equal(bench.log.filter((line) => line.startsWith('delivery.deferral')).length, 2);
  assert.deepEqual(bench.transactions.at(-1)?.recipients, ['s@far.example']);
  assert.deepEqual(await bench.queued(), []);
});

test('an unknown outcome is tried again and says that it may be a duplicate', async () => {
  const bench = await started();
  bench.answer = () => diedReport('192.0.2.1', true);
  await bench.accept('s@a', ['ann@far.example']);
  await bench.settle();
  assert.match(bench.log[0]!, /^delivery\.deferral .*Possible duplicate!/);
  assert.equal((await bench.queued()).length, 1);
});

test('a crash between bounce and removal makes one more bounce, never none', async () => {
  const first = new DeliveryBench({
    wrapQueue: (queue) => {
      queue.remove = () => new Promise(() => undefined);
      return queue;
    },
  });
  await first.delivery.start();
  first.answer = (to) => (to === 'no@far.example' ? GONE : OK);
  await first.accept('s@far.example', ['no@far.example']);
  await first.settle();
  const second = await started({ storage: first.storage, clock: first.clock });
  await second.settle();
  const bounces = [...first.transactions, ...second.transactions].filter(({ sender }) => sender === '');
  assert.deepEqual(
    bounces.map(({ recipients }) => recipients),
    [['s@far.example'], ['s@far.example']],
  );
  assert.deepEqual(await second.queued(), []);
});

test('a bounce that cannot be queued is tried again, and the message stays until then', async () => {
  const bench = await started();
  const submit = bench.submitBounce;
  bench.submitBounce = () => Promise.reject(new Error('disk full'));
  bench.answer = (to) => (to === 'no@far.example' ? GONE : OK);
  await bench.accept('s@far.example', ['no@far.example']);
  await bench.settle();
  assert.equal((await bench.queued()).length, 1);
  assert.ok(bench.log.some((line) => line.startsWith('delivery.trouble what=bounce id=1 text="disk full"')));
  bench.submitBounce = submit;
  await bench.advance(123_000);
  assert.deepEqual(bench.transactions.at(-1), {
    sender: '',
    recipients: ['s@far.example'],
    key: 'far.example',
  });
  assert.deepEqual(await bench.queued(), []);
});

test('a verdict that cannot be written is written later, without another delivery', async () => {
  let failures = 1;
  const bench = await started({
    wrapQueue: (queue) => {
      const settle = queue.settle.bind(queue);
      queue.settle = (...args) => (failures-- > 0 ? Promise.reject(new Error('disk full')) : settle(...args));
      return queue;
    },
  });
  await bench.accept('s@a', ['ann@far.example']);
  await bench.settle();
  assert.equal((await bench.queued()).length, 1);
  await bench.advance(123_000);
  assert.equal(bench.transactions.length, 1);
  assert.deepEqual(await bench.queued(), []);
});

test('a queue that cannot hand out jobs is asked again', async () => {
  let failures = 1;
  const bench = await started({
    wrapQueue: (queue) => {
      const claim = queue.claim.bind(queue);
      queue.claim = (...args) => (failures-- > 0 ? Promise.reject(new Error('index lost')) : claim(...args));
      return queue;
    },
  });
  await bench.accept('s@a', ['ann@far.example']);
  await bench.settle();
  assert.equal(bench.transactions.length, 0);
  await bench.advance(123_000);
  assert.equal(bench.transactions.length, 1);
});

test('a message that cannot be read is deferred', async () => {
  const bench = await started();
  bench.queue.read = () => Promise.reject(new Error('bad sector'));
  await bench.accept('s@a', ['ann@far.example', 'joe@mx.example']);
  await bench.settle();
  assert.deepEqual(
    bench.events('text').filter((line) => line.startsWith('delivery.deferral')),
    [
      'delivery.deferral "Unable to read message. (#4.3.0)/"',
      'delivery.deferral "Unable to read message. (#4.3.0)/"',
    ],
  );
});

test('a transport that breaks its promise defers the recipients', async () => {
  const bench = await started();
  bench.answer = () => Promise.reject(new Error('bug'));
  await bench.accept('s@a', ['ann@far.example', 'joe@mx.example']);
  await bench.settle();
  assert.equal(bench.log.filter((line) => line.startsWith('delivery.deferral')).length, 2);
  assert.equal((await bench.queued())[0]?.recipients.filter(({ state }) => state === 'todo').length, 2);
});

test('one slow destination holds up no other and has a limit of its own', async () => {
  const bench = await started({ controls: { concurrencyremote: 4 }, perDestination: 2 });
  const { answer, open } = gate();
  bench.answer = (to) => (to.endsWith('@slow.example') ? answer : OK);
  for (let i = 0; i < 10; i++) await bench.accept('s@a', [`u${i}@slow.example`]);
  for (let i = 0; i < 10; i++) await bench.accept('s@a', [`u${i}@fast${i}.example`]);
  await bench.accept('s@a', ['joe@mx.example']);
  await bench.settle();
  assert.equal(bench.transactions.filter(({ key }) => key === 'slow.example').length, 2);
  assert.equal(bench.transactions.filter(({ key }) => key !== 'slow.example').length, 10);
  assert.deepEqual(bench.delivered, ['joe@mx.example']);
  open(OK);
  await bench.settle();
  assert.equal(bench.transactions.filter(({ key }) => key === 'slow.example').length, 10);
  assert.deepEqual(await bench.queued(), []);
});

test('a relay has three quarters of the channel once it took a message, and two deliveries before', async () => {
  const smtproutes = parseDomainMap([bytesOf(':relay.example')]);
  const bench = await started({ controls: { concurrencyremote: 8, concurrencylocal: 3, smtproutes } });
  const { answer, open } = gate();
  bench.answer = () => answer;
  for (let i = 0; i < 30; i++) await bench.accept('s@a', [`u${i}@far${i}.example`, `u${i}@mx.example`]);
  await bench.settle();
  assert.equal(bench.transactions.length, 2);
  assert.equal(bench.delivered.length, 3);
  const second = gate();
  bench.answer = (_, __, channel) => (channel === 'local' ? OK : second.answer);
  open(OK);
  await bench.settle();
  assert.equal(bench.transactions.length, 2 + 6);
  second.open(OK);
  await bench.settle();
  assert.deepEqual([bench.transactions.length, bench.delivered.length], [30, 30]);
});

test('never more deliveries run than the channel allows over all destinations', async () => {
  const bench = await started({ controls: { concurrencyremote: 4 } });
  for (let i = 0; i < 10; i++) await bench.accept('s@a', [`first@far${i}.example`]);
  await bench.settle();
  assert.equal(bench.transactions.length, 10);
  const { answer, open } = gate();
  bench.answer = () => answer;
  for (let i = 0; i < 30; i++) await bench.accept('s@a', [`u${i}@far${i % 10}.example`]);
  await bench.settle();
  assert.equal(bench.transactions.length, 10 + 4);
  open(OK);
  await bench.settle();
  assert.equal(bench.transactions.length, 10 + 30);
});

test('concurrency 0 holds a channel and leaves the other one alone', async () => {
  const bench = await started({ controls: { concurrencylocal: 0 } });
  await bench.accept('s@a', ['joe@mx.example', 'ann@far.example']);
  await bench.settle();
  assert.deepEqual(bench.delivered, []);
  assert.equal(bench.transactions.length, 1);
});

test('what is delivered is on record before the slowest destination answers', async () => {
  const bench = await started();
  const { answer, open } = gate();
  bench.answer = (to) => (to.endsWith('@slow.example') ? answer : OK);
  await bench.accept('s@a', ['a@slow.example', 'b@fast.example', 'c@quick.example']);
  await bench.settle();
  const states = async () => (await bench.queued())[0]?.recipients.map(({ state }) => state);
  assert.deepEqual(await states(), ['todo', 'done', 'done']);
  open(OK);
  await bench.settle();
  assert.deepEqual(await bench.queued(), []);
});

test('recipients of one destination share transactions of at most 100', async () => {
  const bench = await started();
  const to = Array.from({ length: 250 }, (_, i) => `u${i}@${i % 2 === 0 ? 'Far' : 'far'}.example`);
  await bench.accept('s@a', [...to, 'x@other.example']);
  await bench.settle();
  const sizes = bench.transactions.map(({ key, recipients }) => `${key} ${recipients.length}`).sort();
  assert.deepEqual(sizes, ['far.example 100', 'far.example 100', 'far.example 50', 'other.example 1']);
  assert.deepEqual(await bench.queued(), []);
});

test('a VERP sender is expanded for each recipient, in a transaction of its own', async () => {
  const bench = await started();
  await bench.accept('list-@mx.example-@[]', ['a@far.example', 'b@far.example']);
  await bench.settle();
  assert.deepEqual(bench.transactions, [
    { sender: 'list-a=far.example@mx.example', recipients: ['a@far.example'], key: 'far.example' },
    { sender: 'list-b=far.example@mx.example', recipients: ['b@far.example'], key: 'far.example' },
  ]);
});

test('stop() waits for running deliveries, records them and starts no other', async () => {
  const bench = await started({ controls: { concurrencylocal: 1 } });
  const { answer, open } = gate();
  bench.answer = () => answer;
  await bench.accept('s@a', ['one@mx.example', 'two@mx.example']);
  await bench.accept('s@a', ['three@mx.example']);
  await bench.settle();
  let stopped = false;
  const stop = bench.delivery.stop().then(() => {
    stopped = true;
  });
  await bench.settle();
  assert.equal(stopped, false);
  open(OK);
  await stop;
  assert.deepEqual(bench.delivered, ['one@mx.example']);
  assert.equal(bench.clock.nextTimerMs(), undefined);
  const next = await started({ storage: bench.storage, clock: bench.clock });
  await next.settle();
  assert.deepEqual(next.delivered.sort(), ['three@mx.example', 'two@mx.example']);
  assert.deepEqual(await next.queued(), []);
});

test('stop() without anything to do ends at once', async () => {
  const bench = await started();
  await bench.delivery.stop();
  await bench.accept('s@a', ['one@mx.example']);
  await bench.settle();
  assert.deepEqual(bench.delivered, []);
});

test('the queue is asked for as much as there is room for, and is not polled', async () => {
  let claims = 0;
  const wrapQueue = (queue: Queue) => {
    const claim = queue.claim.bind(queue);
    queue.claim = (...args) => {
      claims++;
      return claim(...args);
    };
    return queue;
  };
  const bench = new DeliveryBench({ wrapQueue });
  for (let i = 0; i < 500; i++) await bench.accept('s@a', [`u${i}@mx.example`]);
  await bench.delivery.start();
  for (let turn = 0; turn < 10; turn++) await bench.settle();
  assert.equal(bench.delivered.length, 500);
  assert.ok(claims <= 510, `${claims} claims for 500 messages`);
  const before = claims;
  await bench.advance(3_600_000);
  assert.equal(claims, before);
});

test('a queue that has nothing although it said so is not asked in a circle', async () => {
  let claims = 0;
  const bench = await started({
    wrapQueue: (queue) => {
      const claim = queue.claim.bind(queue);
      queue.claim = (...args) => (++claims <= 3 ? Promise.resolve([]) : claim(...args));
      return queue;
    },
  });
  await bench.accept('s@a', ['ann@far.example']);
  await bench.settle();
  assert.equal(claims, 1);
  for (let i = 0; i < 3; i++) await bench.advance(1000);
  assert.equal(claims, 4);
  assert.equal(bench.transactions.length, 1);
});

test('a message that comes while jobs are being claimed is not forgotten', async () => {
  let release: () => void = () => undefined;
  let claims = 0;
  const bench = await started({
    wrapQueue: (queue) => {
      const claim = queue.claim.bind(queue);
      queue.claim = async (...args) => {
        if (++claims > 1) return claim(...args);
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return [];
      };
      return queue;
    },
  });
  await bench.accept('s@a', ['ann@far.example']);
  await bench.accept('s@a', ['bob@far.example']);
  await bench.settle();
  release();
  await bench.settle();
  assert.equal(bench.transactions.length, 2);
});
