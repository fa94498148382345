// The acceptance contract on a disk that forgets and fails: the workload is cut off after each of its disk operations, the
// machine starts again with any part of what was not flushed, and what was promised must hold.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SimulatedDisk, seededRandom } from '../../test/support/simulated-disk.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { SystemError } from '../host/system-error.ts';
import { EmbeddedQueue } from './embedded-queue.ts';
import type { MessageId, Queue, QueuedMessage } from './queue.ts';
import { openDirectIndex } from './worker-index.ts';

const FOLDER = '/queue';
const ROUNDS = 6;
const bodiesOf = (round: number) => [10, 200, 1500, 30].map((size, i) => `${round}.${i} ${'x'.repeat(size)}`);
const BODIES = new Set(Array.from({ length: ROUNDS }, (_, round) => bodiesOf(round)).flat());
const SILENT = { write: () => undefined };

/** Small segments, so that the workload rolls often; large enough a journal that nothing spills: the index is not on this disk. */
function openOn(disk: SimulatedDisk, clock = new ManualClock()): Promise<EmbeddedQueue> {
  return EmbeddedQueue.open({
    folder: FOLDER,
    files: disk,
    index: openDirectIndex(':memory:'),
    clock,
    log: SILENT,
    segmentSize: 2048,
    inlineSizeMax: 600,
  });
}

/** What clients and operators were told. */
interface Told {
  readonly accepted: Map<MessageId, string>;
  /** Recipients that were recorded as delivered, `id:index`. */
  readonly done: Set<string>;
  readonly removed: Set<MessageId>;
  /** Messages about which a verdict or removal was on its way: they may be gone. */
  readonly inDoubt: Set<MessageId>;
}

async function accept(queue: Queue, body: string, recipients: number): Promise<MessageId> {
  const intake = queue.begin();
  await intake.write(bytesOf(body));
  const to = Array.from({ length: recipients }, (_, i) => ({
    channel: 'local' as const,
    address: bytesOf(`r${i}@h`),
  }));
  return intake.commit({ sender: bytesOf('s@h'), recipients: to });
}

/** Takes in messages small and large, several at a time, delivers some, fails some, removes some. */
async function workload(queue: Queue, told: Told): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const takeIn = async (body: string, i: number) =>
      told.accepted.set(await accept(queue, body, (i % 2) + 1), body);
    await Promise.all(bodiesOf(round).map(takeIn));
    const jobs = await queue.claim('local', Number.MAX_SAFE_INTEGER, 4);
    for (const [i, job] of jobs.entries()) {
      // Two are delivered, one only to its first recipient, one fails and is removed as after its bounce.
      const recipients = i === 2 ? job.recipients.slice(0, 1) : job.recipients;
      const state = i === 3 ? 'failed' : 'done';
      told.inDoubt.add(job.id);
      const { finished } = await queue.settle(
        job,
        recipients.map(({ index }) => ({ index, state, report: 'no' })),
        5,
      );
      for (const { index } of recipients) told.done.add(`${job.id}:${index}`);
      if (finished && state === 'failed') await queue.remove(job.id);
      if (finished) told.removed.add(job.id);
    }
  }
}

async function listAll(queue: Queue): Promise<QueuedMessage[]> {
  const all: QueuedMessage[] = [];
  for await (const message of queue.list()) all.push(message);
  return all;
}

/** The promises of docs/internals/queue.md. */
async function check(queue: Queue, told: Told): Promise<void> {
  const listed = new Map((await listAll(queue)).map((message) => [message.id, message]));
  for (const [id, body] of told.accepted) {
    const message = listed.get(id);
    if (message === undefined) {
      assert.ok(told.inDoubt.has(id), `message ${id} is lost`);
      continue;
    }
    assert.equal(textOf(await queue.read(id)), body);
    assert.equal(message.size, body.length);
  }
  for (const id of told.removed) assert.equal(listed.has(id), false, `message ${id} is back`);
  for (const { id, recipients } of listed.values()) {
    assert.ok(BODIES.has(textOf(await queue.read(id))), `message ${id} is not one that was sent`);
    for (const [index, { state }] of recipients.entries()) {
      if (told.done.has(`${id}:${index}`))
        assert.notEqual(state, 'todo', `recipient ${index} of ${id} would be delivered twice`);
    }
  }
}

const noMessages = (): Told => ({
  accepted: new Map(),
  done: new Set(),
  removed: new Set(),
  inDoubt: new Set(),
});

describe('EmbeddedQueue on a disk that forgets', () => {
  it('keeps its promises when the machine goes off after any operation', async () => {
    const dry = new SimulatedDisk(seededRandom(0));
    const told = noMessages();
    const whole = await openOn(dry);
    await workload(whole, told);
    await whole.close();
    assert.equal(told.accepted.size, BODIES.size);
    assert.ok(told.removed.size >= 12, 'the workload finishes messages');
    const total = dry.operations;
    assert.ok(total > 90, `the workload touches the disk ${total} times`);
    for (let seed = 1; seed <= 3; seed++)
      for (let dieAt = 1; dieAt <= total; dieAt++) await dieAndCheck(seed, dieAt);
  });

  async function dieAndCheck(seed: number, dieAt: number): Promise<void> {
    const disk = new SimulatedDisk(seededRandom(seed * 100_000 + dieAt), { dieAt });
    const told = noMessages();
    try {
      await workload(await openOn(disk), told);
    } catch (error) {
      assert.ok(disk.isDead, `operation ${dieAt}, seed ${seed}: ${String(error)}`);
    }
    const label = `operation ${dieAt}, seed ${seed}`;
    const first = disk.afterCrash();
    const queue = await openOn(first);
    await check(queue, told);
    await sameAfterReopening(queue, first, label);
  }

  async function sameAfterReopening(queue: EmbeddedQueue, disk: SimulatedDisk, label: string): Promise<void> {
    const before = await listAll(queue);
    await queue.close();
    const again = await openOn(disk.afterCrash());
    assert.deepEqual(await listAll(again), before, label);
    const ids = new Set(before.map(({ id }) => `${FOLDER}/large/${id}`));
    for (const path of disk.paths())
      if (path.includes('/large/')) assert.ok(ids.has(path), `${label}: ${path} is a remain`);
    await again.close();
  }
});

describe('EmbeddedQueue on a disk that fails', () => {
  for (const code of ['EIO', 'ENOSPC', 'EROFS']) {
    it(`refuses with a SystemError while every write fails with ${code}, and goes on afterwards`, async () => {
      const disk = new SimulatedDisk(seededRandom(7));
      const queue = await openOn(disk);
      const kept = await accept(queue, 'before', 1);
      disk.setFault({ fail: (_, kind) => (kind === 'write' || kind === 'flush' ? code : undefined) });
      await assert.rejects(
        accept(queue, 'during', 1),
        (error: Error) => error instanceof SystemError && error.message.includes(code),
      );
      await assert.rejects(accept(queue, 'y'.repeat(5000), 1), SystemError);
      disk.setFault({});
      const later = await accept(queue, 'after', 1);
      assert.equal(textOf(await queue.read(kept)), 'before');
      await queue.close();
      const reopened = await openOn(disk.afterCrash());
      assert.deepEqual(
        (await listAll(reopened)).map(({ id }) => id),
        [kept, later],
      );
      assert.equal(textOf(await reopened.read(later)), 'after');
      await reopened.close();
    });
  }

  it('refuses every message of the group when the flush of the group fails, and none of them comes back', async () => {
    const disk = new SimulatedDisk(seededRandom(8));
    const queue = await openOn(disk);
    let failed = 0;
    disk.setFault({ fail: (_, kind) => (kind === 'write' && failed++ === 0 ? 'EIO' : undefined) });
    const outcomes = await Promise.allSettled([1, 2, 3].map((i) => accept(queue, `message ${i}`, 1)));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    );
    const id = await accept(queue, 'next', 1);
    await queue.close();
    const reopened = await openOn(disk.afterCrash());
    assert.deepEqual(
      (await listAll(reopened)).map((message) => message.id),
      [id],
    );
    await reopened.close();
  });

  it('starts on a disk without room for a whole segment, and takes verdicts there', async () => {
    const disk = new SimulatedDisk(seededRandom(13));
    const first = await openOn(disk);
    await accept(first, 'x', 1);
    await first.close();
    // Room for records, none for the zeros of a segment.
    let flushes = 0;
    disk.setFault({ fail: (_, kind) => (kind === 'flush' && flushes++ === 0 ? 'ENOSPC' : undefined) });
    const queue = await openOn(disk);
    const [job] = await queue.claim('local', Number.MAX_SAFE_INTEGER, 1);
    assert.equal((await queue.settle(job!, [{ index: 0, state: 'done' }], 5)).finished, true);
    await queue.close();
    assert.deepEqual(await listAll(await openOn(disk.afterCrash())), []);
  });

  it('keeps a job handed out when its verdict cannot be written, and takes the verdict later', async () => {
    const disk = new SimulatedDisk(seededRandom(12));
    const queue = await openOn(disk);
    await accept(queue, 'x', 2);
    const [job] = await queue.claim('local', Number.MAX_SAFE_INTEGER, 1);
    disk.setFault({ fail: (_, kind) => (kind === 'write' ? 'EIO' : undefined) });
    await assert.rejects(queue.settle(job!, [{ index: 0, state: 'done' }], 5), SystemError);
    assert.deepEqual(await queue.claim('local', Number.MAX_SAFE_INTEGER, 1), []);
    disk.setFault({});
    await queue.settle(job!, [{ index: 0, state: 'done' }], 5);
    const [rest] = await queue.claim('local', Number.MAX_SAFE_INTEGER, 1);
    assert.deepEqual(
      rest!.recipients.map(({ index }) => index),
      [1],
    );
    await queue.close();
  });

  it('removes the file of a large message that was delivered', async () => {
    const disk = new SimulatedDisk(seededRandom(11));
    const queue = await openOn(disk);
    const id = await accept(queue, 'y'.repeat(5000), 1);
    assert.ok(disk.paths().includes(`${FOLDER}/large/${id}`));
    const [job] = await queue.claim('local', Number.MAX_SAFE_INTEGER, 1);
    await queue.settle(job!, [{ index: 0, state: 'done' }], 5);
    await queue.close();
    assert.ok(!disk.paths().includes(`${FOLDER}/large/${id}`));
  });

  it('does not start when a segment that counts is damaged, and names it', async () => {
    const disk = new SimulatedDisk(seededRandom(9));
    const queue = await openOn(disk);
    for (let i = 0; i < 10; i++) await accept(queue, 'z'.repeat(500), 1);
    await queue.close();
    const [segment] = disk.paths().filter((path) => path.includes('/journal/0'));
    disk.damage(segment!, 200, new Uint8Array([1, 2, 3, 4]));
    await assert.rejects(
      openOn(disk.afterCrash()),
      (error: Error) =>
        error.message.includes(segment!) && error.message.includes('no valid record at offset'),
    );
  });

  it('does not start when a segment is missing in between, and names it', async () => {
    const disk = new SimulatedDisk(seededRandom(10));
    const queue = await openOn(disk);
    for (let i = 0; i < 15; i++) await accept(queue, 'z'.repeat(500), 1);
    await queue.close();
    const segments = disk.paths().filter((path) => path.includes('/journal/0'));
    await disk.remove(segments[1]!);
    await disk.flushFolder(`${FOLDER}/journal`);
    await assert.rejects(
      openOn(disk.afterCrash()),
      (error: Error) => error.message.includes(segments[1]!) && error.message.includes('missing'),
    );
  });
});
