// Back-pressure in virtual time: refusals for want of disk or memory, what they leave behind, and how they end by themselves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../queue/memory-queue.ts';
import type { Intake } from '../queue/queue.ts';
import { type DiskRoom, IntakeGuard, ShortageError } from './intake-guard.ts';

const TO = { sender: bytesOf('s@a'), recipients: [{ channel: 'local' as const, address: bytesOf('r@h') }] };
const KILOBYTE = new Uint8Array(1024);

class Bench {
  readonly clock = new ManualClock();
  readonly queue = new MemoryQueue(new MemoryQueueStorage(), this.clock);
  readonly log: string[] = [];
  room: DiskRoom | Error = { total: 1e9, free: 1e8 };
  asked = 0;
  refusals = 0;
  readonly guard: IntakeGuard;

  constructor(memoryBytesMax = 1e9) {
    this.guard = new IntakeGuard({
      queue: this.queue,
      limits: { memoryBytesMax, diskKept: (total) => total / 20 },
      clock: this.clock,
      log: { write: (event, facts) => void this.log.push(`${event} ${facts['reason']}`) },
      readRoom: async () => {
        this.asked++;
        if (this.room instanceof Error) throw this.room;
        return this.room;
      },
      onRefusal: () => this.refusals++,
    });
  }

  begin(kilobytes: number): Intake {
    const intake = this.guard.begin();
    for (let i = 0; i < kilobytes; i++) void intake.write(KILOBYTE);
    return intake;
  }

  /** What becomes of a message of that size: accepted, or what there is too little of. */
  submit(kilobytes: number): Promise<string> {
    return resultOf(this.begin(kilobytes));
  }

  /** Lets time pass, and room be asked for. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await new Promise(setImmediate);
  }
}

async function resultOf(intake: Intake): Promise<string> {
  try {
    await intake.commit(TO);
    return 'accepted';
  } catch (error) {
    assert.ok(error instanceof ShortageError, String(error));
    return error.shortage;
  }
}

test('a disk with less room than is to be kept refuses, says so once, and goes on when there is room', async () => {
  const bench = new Bench();
  await bench.guard.open();
  assert.equal(await bench.submit(10), 'accepted');
  bench.room = { total: 1e9, free: 49_000_000 };
  await bench.advance(1000);
  await bench.submit(1);
  await new Promise(setImmediate);
  assert.equal(await bench.submit(1), 'disk');
  assert.equal(await bench.submit(100), 'disk');
  assert.deepEqual(bench.log, ['intake.stopped disk']);
  bench.room = { total: 1e9, free: 51_000_000 };
  await bench.advance(5000);
  assert.equal(await bench.submit(1), 'disk', 'not at the edge');
  bench.room = { total: 1e9, free: 60_000_000 };
  await bench.advance(1000);
  assert.deepEqual(bench.log, ['intake.stopped disk', 'intake.resumed disk']);
  assert.equal(await bench.submit(1), 'accepted');
  assert.equal(bench.refusals, 3);
  assert.equal(bench.queue.stats().messages, 3);
});

test('what is written between two looks at the disk counts', async () => {
  const bench = new Bench();
  bench.room = { total: 1e9, free: 50_000_000 + 10 * 1024 };
  await bench.guard.open();
  const first = bench.begin(6);
  const second = bench.begin(6);
  assert.deepEqual(await Promise.all([resultOf(first), resultOf(second)]), ['accepted', 'disk']);
  assert.equal(bench.asked, 1);
});

test('room is asked for once a second at most, and not at all without mail', async () => {
  const bench = new Bench();
  await bench.guard.open();
  for (let i = 0; i < 50; i++) {
    await bench.submit(1);
    await bench.advance(100);
  }
  assert.ok(bench.asked <= 6, `${bench.asked} times`);
  assert.equal(bench.clock.nextTimerMs(), undefined);
});

test('a disk that does not tell its room is written to', async () => {
  const bench = new Bench();
  bench.room = new Error('no');
  await bench.guard.open();
  assert.equal(await bench.submit(1), 'accepted');
  assert.equal(bench.log.length, 1);
});

test('messages on their way in have so much memory together, a long one as much as its first part', async () => {
  const bench = new Bench(100 * 1024);
  await bench.guard.open();
  const long = bench.begin(500);
  const others = [1, 2].map(() => bench.begin(32));
  const tooMuch = bench.begin(5);
  assert.equal(await resultOf(tooMuch), 'memory');
  assert.deepEqual(bench.log, ['intake.stopped memory']);
  assert.equal(await bench.submit(3), 'accepted');
  assert.deepEqual(await Promise.all([long, ...others].map(resultOf)), ['accepted', 'accepted', 'accepted']);
  assert.deepEqual(bench.log, ['intake.stopped memory', 'intake.resumed memory']);
});

test('whatever an intake held is given back when it ends, however it ends', async () => {
  const bench = new Bench(64 * 1024);
  bench.room = { total: 1e12, free: 1e12 };
  await bench.guard.open();
  for (let i = 0; i < 100; i++) {
    bench.begin(30).abort();
    const refused = bench.begin(20);
    refused.hold?.(1e6);
    if (i % 2 === 0) refused.abort();
    else assert.equal(await resultOf(refused), 'memory');
  }
  assert.equal(await bench.submit(32), 'accepted');
  assert.equal(bench.queue.stats().messages, 1);
});

test('recipients count, and one that finds no room need not be kept', async () => {
  const bench = new Bench(10 * 1024);
  await bench.guard.open();
  const intake = bench.begin(1);
  assert.equal(intake.hold?.(9 * 1024), true);
  assert.equal(intake.hold?.(1), false);
  assert.equal(await resultOf(intake), 'memory');
});
