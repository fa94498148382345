// Recognition of resubmissions on a disk that forgets and fails: every message is submitted again after the machine went off
// at any operation, and what was acknowledged must be recognised, from the journal and after it moved to the index.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SimulatedDisk, seededRandom } from '../../test/support/simulated-disk.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { EmbeddedQueue } from './embedded-queue.ts';
import type { MessageIndex } from './message-index.ts';
import type { Accepted, Queue } from './queue.ts';
import { openDirectIndex } from './worker-index.ts';

const ROUNDS = 5;
const SIZES = [10, 900, 300, 1500];
const BODIES = Array.from({ length: ROUNDS }, (_, round) =>
  SIZES.map((size, i) => `${round}.${i} ${'x'.repeat(size)}`),
).flat();
const fingerprintOf = (body: string) => `of ${body}`.slice(0, 16).padEnd(16, '-');

/** A machine: what outlives a crash. The index keeps every transaction that was committed. */
interface Machine {
  disk: SimulatedDisk;
  readonly index: MessageIndex;
  readonly journalSizeMax: number;
  readonly events: string[];
}

const createMachine = (disk: SimulatedDisk, journalSizeMax: number): Machine => ({
  disk,
  index: openDirectIndex(':memory:'),
  journalSizeMax,
  events: [],
});

function open({ disk, index, journalSizeMax, events }: Machine): Promise<EmbeddedQueue> {
  return EmbeddedQueue.open({
    ...{ folder: '/queue', files: disk, clock: new ManualClock(), journalSizeMax },
    // A process that ends does not take the database with it.
    index: { ...index, close: async () => undefined },
    log: { write: (event) => void events.push(event) },
    segmentSize: 2048,
    inlineSizeMax: 600,
  });
}

async function submit(queue: Queue, body: string): Promise<Accepted> {
  const intake = queue.begin();
  await intake.write(bytesOf(body));
  const recipients = [{ channel: 'local' as const, address: bytesOf('r@h') }];
  return intake.commitOnce({ sender: bytesOf('s@h'), recipients }, fingerprintOf(body));
}

/** What clients were told, and what was tried to be recorded as delivered. */
interface Told {
  readonly ids: Map<string, number>;
  readonly delivered: Set<string>;
}

/** Takes in all bodies, each twice at the same time, delivers some of them, and stops and starts in between. */
async function workload(machine: Machine, told: Told): Promise<void> {
  let queue = await open(machine);
  for (let round = 0; round < ROUNDS; round++) {
    const bodies = BODIES.slice(round * SIZES.length, (round + 1) * SIZES.length);
    const take = async (body: string) => told.ids.set(body, (await submit(queue, body)).id);
    await Promise.all([...bodies, ...bodies].map(take));
    for (const job of await queue.claim('local', Number.MAX_SAFE_INTEGER, 2)) {
      told.delivered.add(textOf(await queue.read(job.id)));
      await queue.settle(job, [{ index: 0, state: 'done' }], 5);
    }
    if (round % 2 === 1) {
      await queue.close();
      queue = await open(machine);
    }
  }
  await queue.close();
}

/** Submits everything again, as clients do that were not told, and some that were. */
async function check(machine: Machine, told: Told, label: string): Promise<void> {
  const queue = await open(machine);
  for (const body of BODIES) {
    const { id, isResubmission } = await submit(queue, body);
    const earlier = told.ids.get(body);
    if (earlier !== undefined) assert.deepEqual([id, isResubmission], [earlier, true], `${label}: ${body}`);
  }
  const there: string[] = [];
  const files = new Set<string>();
  for await (const { id } of queue.list()) {
    there.push(textOf(await queue.read(id)));
    files.add(`/queue/large/${id}`);
  }
  assert.equal(new Set(there).size, there.length, `${label}: a message is there twice`);
  for (const body of BODIES)
    assert.ok(there.includes(body) || told.delivered.has(body), `${label}: ${body} is lost`);
  await queue.close();
  const remains = machine.disk.paths().filter((path) => path.includes('/large/') && !files.has(path));
  assert.deepEqual(remains, [], `${label}: copies of large messages`);
}

const nothingTold = (): Told => ({ ids: new Map(), delivered: new Set() });

describe('resubmissions on a disk that forgets', () => {
  for (const [name, journalSizeMax] of [
    ['that stays in the journal', 1 << 20],
    ['that moves to the index at once', 0],
  ] as const) {
    it(`are recognised whenever the machine goes off, with mail ${name}`, async () => {
      const dry = createMachine(new SimulatedDisk(seededRandom(0)), journalSizeMax);
      await workload(dry, nothingTold());
      const total = dry.disk.operations;
      assert.ok(total > 90, `the workload touches the disk ${total} times`);
      for (let dieAt = 1; dieAt <= total; dieAt++) await dieAndCheck(journalSizeMax, dieAt);
    });
  }

  async function dieAndCheck(journalSizeMax: number, dieAt: number): Promise<void> {
    const machine = createMachine(new SimulatedDisk(seededRandom(dieAt), { dieAt }), journalSizeMax);
    const told = nothingTold();
    const label = `operation ${dieAt}`;
    await workload(machine, told).catch((error: unknown) => {
      assert.ok(machine.disk.isDead, `${label}: ${String(error)}`);
    });
    for (let starts = 0; starts < 2; starts++) {
      machine.disk = machine.disk.afterCrash();
      await check(machine, told, label);
    }
    await machine.index.close();
  }
});

describe('resubmissions on a disk that fails', () => {
  it('are tried in turn when the first cannot be written, and none is acknowledged before', async () => {
    const machine = createMachine(new SimulatedDisk(seededRandom(1)), 1 << 20);
    const queue = await open(machine);
    let writes = 0;
    machine.disk.setFault({ fail: (_, kind) => (kind === 'write' && writes++ === 0 ? 'EIO' : undefined) });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => submit(queue, BODIES[0]!)));
    const told = outcomes.map((outcome) => outcome.status === 'fulfilled' && outcome.value.isResubmission);
    assert.deepEqual(told, [false, false, true]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'fulfilled', 'fulfilled'],
    );
    await queue.close();
    machine.disk = machine.disk.afterCrash();
    const again = await open(machine);
    assert.equal((await submit(again, BODIES[0]!)).isResubmission, true);
    assert.equal(again.stats().messages, 1);
    await again.close();
  });

  it('do not keep the hub from starting when they cannot be carried on', async () => {
    const machine = createMachine(new SimulatedDisk(seededRandom(2)), 1 << 20);
    const first = await open(machine);
    const { id } = await submit(first, BODIES[0]!);
    const [job] = await first.claim('local', Number.MAX_SAFE_INTEGER, 1);
    await first.settle(job!, [{ index: 0, state: 'done' }], 5);
    await first.close();
    // The first two make the new segment and start it.
    let writes = 0;
    machine.disk.setFault({ fail: (_, kind) => (kind === 'write' && ++writes > 2 ? 'ENOSPC' : undefined) });
    const second = await open(machine);
    assert.deepEqual(machine.events, ['queue.carry-failed']);
    assert.deepEqual(await submit(second, BODIES[0]!), { id, isResubmission: true });
    await second.close();
  });
});
