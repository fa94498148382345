// Limits, suspension, schedules of single destinations, and destinations that do not answer, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { parseControlList } from '../../src/core/format/control-file.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { type DestinationRules, parseDestinationRules } from '../../src/core/policy/destination-rules.ts';
import { NO_CONNECTION } from '../../src/core/policy/smtp-report.ts';
import type { RemoteDelivery, RemoteResult } from '../../src/delivery/transport.ts';
import { DeliveryBench } from './support.ts';

function rules(text: string): DestinationRules {
  const parsed = parseDestinationRules(parseControlList(bytesOf(text)));
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

type Options = NonNullable<ConstructorParameters<typeof DeliveryBench>[0]>;

async function started(text: string, options: Options = {}): Promise<DeliveryBench> {
  const controls = { destinations: rules(text), ...options.controls };
  const bench = new DeliveryBench({ ...options, controls });
  await bench.delivery.start();
  return bench;
}

/** Accepts that many messages to the domain. */
async function accept(bench: DeliveryBench, count: number, domain: string): Promise<void> {
  for (let i = 0; i < count; i++) await bench.accept('s@a', [`u${i}@${domain}`]);
  await bench.settle();
}

/** Transactions to the destination so far. */
const sent = (bench: DeliveryBench, key: string) =>
  bench.transactions.filter((transaction) => transaction.key === key).length;

/** A host that never answers: gives up after a minute, or when it is asked to. */
function silence(bench: DeliveryBench, dead: (domain: string) => boolean) {
  const play = ({ destination, recipients, signal }: RemoteDelivery) =>
    new Promise<RemoteResult>((resolve) => {
      const outcomes = recipients.map(() => NO_CONNECTION);
      const cancel = bench.clock.after(60_000, () => resolve({ outcomes, contact: 'none' }));
      signal?.addEventListener('abort', () => {
        cancel();
        resolve({ outcomes, contact: 'cut' });
      });
      assert.ok(dead(destination.host));
    });
  bench.network = (delivery) => (dead(delivery.destination.host) ? play(delivery) : undefined);
}

test('a destination has as many deliveries at a time as control/destinations says', async () => {
  const bench = await started('far.example:concurrency=2\n.wide.example:concurrency=7\n');
  const domains = ['far.example', 'a.wide.example', 'other.example'];
  for (const domain of domains) await accept(bench, 1, domain);
  bench.answer = () => new Promise(() => undefined);
  for (const domain of domains) await accept(bench, 10, domain);
  assert.deepEqual(
    domains.map((key) => sent(bench, key) - 1),
    [2, 7, 5],
  );
});

test('a rate holds for every pair of deliveries, and over a restart', async () => {
  const bench = await started('far.example:rate=10/m\n');
  await accept(bench, 4, 'far.example');
  await accept(bench, 3, 'free.example');
  assert.deepEqual([sent(bench, 'far.example'), sent(bench, 'free.example')], [0, 3]);
  for (const count of [1, 2]) {
    await bench.advance(5999);
    assert.equal(sent(bench, 'far.example'), count - 1);
    await bench.advance(1);
    assert.equal(sent(bench, 'far.example'), count);
  }
  await bench.delivery.stop();
  assert.equal(bench.clock.nextTimerMs(), undefined);
  const { clock, storage, controls } = bench;
  const next = await started('far.example:rate=10/m\n', { clock, storage, controls });
  await next.advance(5999);
  assert.equal(sent(next, 'far.example'), 0);
  await next.advance(1);
  await next.advance(6000);
  assert.deepEqual([sent(next, 'far.example'), await next.queued()], [2, []]);
});

test('a suspended destination keeps its mail until a reload lets it go', async () => {
  const bench = await started('far.example:suspend\n');
  await accept(bench, 2, 'far.example');
  await bench.advance(3_600_000);
  assert.deepEqual([sent(bench, 'far.example'), (await bench.queued()).length], [0, 2]);
  bench.delivery.reload(rules('other.example:suspend\n'));
  await bench.settle();
  assert.deepEqual(await bench.queued(), []);
  await accept(bench, 1, 'other.example');
  assert.equal(sent(bench, 'other.example'), 0);
});

test('destinations behind one mail exchanger share its limit once it is known', async () => {
  const bench = await started('mx=.big.example:concurrency=3\n', { controls: { concurrencyremote: 50 } });
  const waiting: (() => void)[] = [];
  bench.network = ({ recipients, onAnswer }) => {
    onAnswer?.('mx1.big.example');
    return new Promise((resolve) => {
      const outcomes = recipients.map(() => ({ letter: 'K', text: 'ok\n' }) as const);
      waiting.push(() => resolve({ outcomes, contact: 'answered' }));
    });
  };
  const finishAll = async () => {
    for (const finish of waiting.splice(0)) finish();
    await bench.settle();
  };
  for (const domain of ['a.example', 'b.example']) await accept(bench, 1, domain);
  await finishAll();
  for (const domain of ['a.example', 'b.example']) await accept(bench, 4, domain);
  const perRound: number[] = [];
  for (; waiting.length > 0; await finishAll()) perRound.push(waiting.length);
  assert.deepEqual(perRound, [3, 3, 2]);
  assert.deepEqual(await bench.queued(), []);
});

test('a destination has its own lifetime and schedule', async () => {
  const bench = await started('far.example:retry=60/300,lifetime=500\n');
  bench.answer = (_, sender) =>
    sender === '' ? { letter: 'K', text: 'ok\n' } : { letter: 'Z', text: 'later\n' };
  await bench.accept('s@b.example', ['u@far.example', 'u@usual.example']);
  await bench.settle();
  const birthMs = bench.clock.nowMs();
  const tries: number[] = [];
  for (let seen = sent(bench, 'far.example'); tries.length < 3; ) {
    await bench.advance((bench.clock.nextTimerMs() ?? 0) - bench.clock.nowMs());
    if (sent(bench, 'far.example') > seen) tries.push((bench.clock.nowMs() - birthMs) / 1000);
    seen = sent(bench, 'far.example');
  }
  assert.deepEqual(tries, [60, 360, 660]);
  assert.deepEqual(
    (await bench.queued())[0]?.recipients.map(({ address, state }) => `${textOf(address)} ${state}`),
    ['u@far.example failed', 'u@usual.example todo'],
  );
});

test('a destination that did not answer is left alone, and its mail deferred without a slot', async () => {
  const bench = await started('');
  silence(bench, (domain) => domain === 'dead.example');
  await accept(bench, 1, 'dead.example');
  await bench.advance(60_000);
  assert.equal(sent(bench, 'dead.example'), 1);
  await accept(bench, 50, 'dead.example');
  assert.equal(sent(bench, 'dead.example'), 1);
  assert.equal(bench.log.filter((line) => line.startsWith('delivery.deferral')).length, 51);
  assert.match(bench.log.at(-1)!, /establish an SMTP connection/);
  // A minute later it is tried again, by one delivery at a time.
  await bench.advance(60_000);
  await accept(bench, 3, 'dead.example');
  assert.equal(sent(bench, 'dead.example'), 2);
  await bench.advance(60_000);
  assert.equal(sent(bench, 'dead.example'), 2);
  // Twice as long the second time; then it lives, and everything goes out as it falls due.
  await bench.advance(119_999);
  await accept(bench, 1, 'dead.example');
  assert.equal(sent(bench, 'dead.example'), 2);
  bench.network = () => undefined;
  await bench.advance(1_000_000);
  assert.deepEqual(await bench.queued(), []);
});

test('a relay that does not answer is asked again after five minutes at the latest', async () => {
  const smtproutes = parseDomainMap([bytesOf(':relay.example:26')]);
  const bench = await started('', { controls: { smtproutes } });
  silence(bench, () => true);
  await accept(bench, 1, 'far.example');
  for (let round = 0; round < 8; round++) {
    await bench.advance(60_000);
    const before = sent(bench, 'relay.example:26');
    await bench.advance(300_000);
    await accept(bench, 1, 'far.example');
    assert.equal(sent(bench, 'relay.example:26'), before + 1, `round ${round}`);
  }
});

test('nothing is cut short for the sake of its own destination', async () => {
  const bench = await started('', { controls: { concurrencyremote: 2 } });
  silence(bench, () => true);
  await accept(bench, 10, 'slow.example');
  await bench.advance(59_999);
  assert.equal(sent(bench, 'slow.example'), 1);
  assert.deepEqual(bench.log, []);
});

test('a delivery that was cut short is tried again, and loses nothing', async () => {
  const bench = await started('', { controls: { concurrencyremote: 2 } });
  silence(bench, (domain) => domain !== 'live.example');
  await accept(bench, 1, 'one.example');
  await accept(bench, 1, 'two.example');
  await bench.advance(400);
  assert.deepEqual([sent(bench, 'one.example'), sent(bench, 'two.example')], [1, 0]);
  await bench.advance(101);
  assert.deepEqual([sent(bench, 'one.example'), sent(bench, 'two.example')], [1, 1]);
  assert.deepEqual(bench.log, []);
  bench.network = () => undefined;
  await bench.advance(60_000);
  await bench.advance(500_000);
  assert.deepEqual(await bench.queued(), []);
});

test('stop() does not wait for those who do not answer', async () => {
  const bench = await started('');
  silence(bench, () => true);
  await accept(bench, 3, 'dead.example');
  await bench.delivery.stop();
  assert.equal((await bench.queued()).length, 3);
  assert.equal(bench.clock.nextTimerMs(), undefined);
});
