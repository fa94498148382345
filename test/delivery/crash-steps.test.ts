// The machine goes off at each operation of the disk while messages are accepted, delivered, deferred, refused and returned,
// and starts again. Every recipient of an acknowledged message is delivered or its sender told; what was recorded as
// delivered does not go out again, so the only copies are of deliveries whose record was on its way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from '../../src/core/bytes/bytes.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { EmbeddedQueue } from '../../src/queue/embedded-queue.ts';
import type { MessageIndex } from '../../src/queue/message-index.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { openDirectIndex } from '../../src/queue/worker-index.ts';
import { SimulatedDisk, seededRandom } from '../support/simulated-disk.ts';
import { DeliveryBench } from './support.ts';

const MESSAGES = 4;
const ATTEMPT_MS = 500_000;

/** What the world saw, over both lives of the machine. */
class World {
  readonly clock = new ManualClock();
  /** Numbers of messages whose client was told that they are there. */
  readonly accepted: number[] = [];
  /** How often a recipient got its message. */
  readonly taken = new Map<string, number>();
  /** Recipients whose delivery was on disk when they were last heard of. */
  readonly recorded = new Map<string, number>();

  count(recipient: string): number {
    return this.taken.get(recipient) ?? 0;
  }
}

function open(disk: SimulatedDisk, index: MessageIndex, clock: ManualClock): Promise<EmbeddedQueue> {
  return EmbeddedQueue.open({
    ...{ folder: '/queue', files: disk, index, clock, log: { write: () => undefined } },
    ...{ segmentSize: 2048, inlineSizeMax: 600, journalSizeMax: 4096 },
  });
}

/** The index of a machine: it takes nothing when that is off, and outlives it. */
function whileOn(index: MessageIndex, disk: SimulatedDisk): MessageIndex {
  const calls = Object.entries(index).map(([method, call]) => [
    method,
    async (...args: unknown[]) => {
      if (disk.isDead) throw new Error('the machine is off');
      return method === 'close' ? undefined : (call as (...args: unknown[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(calls) as MessageIndex;
}

/** Delivery over the queue; what is taken is written down as long as the machine is on. */
function createBench(world: World, disk: SimulatedDisk, queue: Queue): DeliveryBench {
  const settle: Queue['settle'] = async (job, verdicts, nextDueMs) => {
    const settled = await queue.settle(job, verdicts, nextDueMs);
    for (const { index, state } of verdicts) {
      const address = textOf(job.recipients.find((one) => one.index === index)!.address);
      if (state === 'done') world.recorded.set(address, world.count(address));
    }
    return settled;
  };
  const recording = new Proxy(queue, {
    get(target, name) {
      const value = Reflect.get(target, name);
      return name === 'settle' ? settle : typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const bench = new DeliveryBench({ clock: world.clock, wrapQueue: () => recording });
  const deferred = new Set<string>();
  bench.answer = (recipient) => {
    if (disk.isDead) return new Promise(() => undefined);
    if (recipient.startsWith('bad')) return { letter: 'D', text: 'no\n' };
    if (recipient.startsWith('later') && !deferred.has(recipient)) {
      deferred.add(recipient);
      return { letter: 'Z', text: 'later\n' };
    }
    world.taken.set(recipient, world.count(recipient) + 1);
    return { letter: 'K', text: 'ok\n' };
  };
  return bench;
}

async function firstLife(world: World, disk: SimulatedDisk, index: MessageIndex): Promise<void> {
  const queue = await open(disk, whileOn(index, disk), world.clock).catch(() => undefined);
  if (queue === undefined) return;
  const bench = createBench(world, disk, queue);
  await bench.delivery.start().catch(() => undefined);
  for (let i = 0; i < MESSAGES; i++) {
    const to = ['ok', 'bad', 'later'].map((word) => `${word}${i}@far${i}.example`);
    const body = `Subject: t\n\n${'x'.repeat(i === 2 ? 2000 : 200)}\n`;
    const taken = bench.accept(`s${i}@mx.example`, [...to, `here${i}@mx.example`], body);
    await taken.then(
      () => world.accepted.push(i),
      () => undefined,
    );
    await bench.settle();
  }
  for (let i = 0; i < 3 && !disk.isDead; i++) await bench.advance(ATTEMPT_MS);
}

function check(world: World, label: string): void {
  for (const i of world.accepted) {
    for (const word of ['ok', 'later'])
      assert.ok(world.count(`${word}${i}@far${i}.example`) >= 1, `${label}: ${word}${i} is lost`);
    assert.ok(world.count(`here${i}@mx.example`) >= 1, `${label}: here${i} is lost`);
    assert.ok(world.count(`s${i}@mx.example`) >= 1, `${label}: nobody told the sender of ${i}`);
  }
  for (const [recipient, count] of world.taken) assert.ok(count <= 2, `${label}: ${recipient} got ${count}`);
}

test('kill at each step of accept, claim, deliver and bounce: all is delivered or returned, and nothing recorded goes out again', async () => {
  let twice = 0;
  for (let at = 1; ; at++) {
    const world = new World();
    const index = openDirectIndex(':memory:');
    const disk = new SimulatedDisk(seededRandom(at), { dieAt: at });
    await firstLife(world, disk, index);
    const before = new Map(world.recorded);
    if (disk.isDead) {
      const next = disk.afterCrash();
      const queue = await open(next, whileOn(index, next), world.clock);
      const bench = createBench(world, next, queue);
      await bench.delivery.start();
      for (let i = 0; i < 4; i++) await bench.advance(ATTEMPT_MS);
      assert.deepEqual(await bench.queued(), [], `off at ${at}`);
      await bench.delivery.stop();
    }
    check(world, `off at ${at}`);
    // A notice is another message to the same address.
    for (const [recipient, count] of before)
      if (!recipient.startsWith('s'))
        assert.equal(
          world.count(recipient),
          count,
          `off at ${at}: ${recipient} was recorded, and got another`,
        );
    twice += [...world.taken.values()].filter((count) => count > 1).length;
    if (!disk.isDead) {
      assert.equal(world.accepted.length, MESSAGES);
      assert.ok(at > 60, `the run takes ${at} operations`);
      break;
    }
  }
  assert.ok(twice > 0, 'some deliveries were cut off from their record');
});
