// The clock is set by a day, forward and back, while messages wait: none is lost, none is tried all the time, and none waits
// longer than the longest time between two attempts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { parseControlList } from '../../src/core/format/control-file.ts';
import { type DestinationRules, parseDestinationRules } from '../../src/core/policy/destination-rules.ts';
import { NO_CONNECTION } from '../../src/core/policy/smtp-report.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { DeliveryBench } from './support.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const DEFERRED = { letter: 'Z', text: 'later\n' } as const;

type Options = NonNullable<ConstructorParameters<typeof DeliveryBench>[0]>;

async function started(options: Options = {}): Promise<DeliveryBench> {
  const bench = new DeliveryBench(options);
  await bench.delivery.start();
  return bench;
}

/** Lets so much time pass in small steps, so that each attempt takes its place. */
async function pass(bench: DeliveryBench, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 60_000) await bench.advance(Math.min(left, 60_000));
}

for (const [name, byMs] of [
  ['forward', DAY_MS],
  ['back', -DAY_MS],
] as const) {
  test(`a clock that is set ${name} by a day costs each message that waits one attempt at most, and no day`, async () => {
    const bench = await started();
    bench.answer = () => DEFERRED;
    for (let i = 0; i < 30; i++) await bench.accept('s@a', [`u${i}@far${i}.example`, `u${i}@mx.example`]);
    await pass(bench, 3 * HOUR_MS);
    const before = bench.transactions.length;
    bench.clock.set(byMs);
    await pass(bench, 60_000);
    assert.ok(bench.transactions.length - before <= 30, `${bench.transactions.length - before} attempts`);
    assert.match(bench.log.join('\n'), new RegExp(`^clock\\.step seconds=${byMs / 1000}$`, 'm'));
    const after = bench.transactions.length;
    await pass(bench, 10 * HOUR_MS);
    const attempts = bench.transactions.length - after;
    assert.ok(attempts >= 30 && attempts <= 30 * 12, `${attempts} attempts in ten hours`);
    bench.answer = () => ({ letter: 'K', text: '' });
    await pass(bench, 9 * HOUR_MS);
    assert.deepEqual(await bench.queued(), []);
  });
}

test('what comes while the clock is a day ahead is tried on schedule when it is right again', async () => {
  const bench = await started();
  bench.answer = () => DEFERRED;
  bench.clock.set(DAY_MS);
  await bench.accept('s@a', ['u@far.example']);
  await pass(bench, 20_000);
  bench.clock.set(-DAY_MS);
  await pass(bench, 60_000);
  const before = bench.transactions.length;
  await pass(bench, HOUR_MS);
  const attempts = bench.transactions.length - before;
  assert.ok(attempts >= 1 && attempts <= 9, `${attempts} attempts in an hour`);
});

test('a clock that was a day ahead for a moment costs an hour at most', async () => {
  const bench = await started();
  bench.clock.set(DAY_MS);
  bench.answer = () => DEFERRED;
  await bench.accept('s@a', ['u@far.example']);
  await bench.settle();
  bench.clock.set(-DAY_MS);
  bench.answer = () => ({ letter: 'K', text: '' });
  await pass(bench, HOUR_MS);
  assert.deepEqual(await bench.queued(), []);
});

test('what a process queued while the clock was ahead is tried by the next one; what is held is not', async () => {
  const clock = new ManualClock();
  const first = await started({ clock });
  first.answer = () => DEFERRED;
  clock.set(DAY_MS);
  await first.accept('s@a', ['u@far.example']);
  const held = await first.accept('s@a', ['held@far.example']);
  await first.settle();
  await first.queue.reschedule(held, 8.64e15);
  await first.delivery.stop();
  clock.set(-DAY_MS);
  const second = await started({ clock, storage: first.storage });
  await second.settle();
  assert.deepEqual(
    second.transactions.flatMap(({ recipients }) => recipients),
    ['u@far.example'],
  );
  await second.delivery.stop();
});

test('a destination that is left alone, or has a rate, is not left alone for longer by a clock that is set back', async () => {
  const destinations = parseDestinationRules(
    parseControlList(bytesOf('rated.example:rate=1/m\n')),
  ) as DestinationRules;
  const bench = await started({ controls: { destinations } });
  let isDead = true;
  bench.network = ({ recipients, destination }) =>
    isDead && destination.host === 'dead.example'
      ? Promise.resolve({ outcomes: recipients.map(() => NO_CONNECTION), contact: 'none' })
      : undefined;
  await bench.accept('s@a', ['u@dead.example']);
  await pass(bench, 120_000);
  for (let i = 0; i < 3; i++) await bench.accept('s@a', [`u${i}@rated.example`]);
  await bench.settle();
  bench.clock.set(-DAY_MS);
  isDead = false;
  await bench.accept('s@a', ['second@dead.example']);
  await pass(bench, 10 * 60_000);
  assert.deepEqual(await bench.queued(), []);
});
