// One operation of the disk fails, or one call of the index, or the machine goes off, at each of them in its turn, while messages are taken in, delivered, failed,
// removed and moved to the index. Whoever was refused has nothing in the queue, whoever was acknowledged has everything, and
// accepted = delivered + failed + queued for recipients, at once, after going on, and after a crash.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SimulatedDisk, seededRandom } from '../../test/support/simulated-disk.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { SystemError } from '../host/system-error.ts';
import { EmbeddedQueue } from './embedded-queue.ts';
import type { MessageIndex } from './message-index.ts';
import type { Job, MessageId, Queue, QueuedMessage, Verdict } from './queue.ts';
import { openDirectIndex } from './worker-index.ts';

const ROUNDS = 6;
const SIZES = [10, 500, 400, 1500];

/** What outlives a process: a disk and the index's file, which keeps every transaction that was committed. */
interface Machine {
  readonly disk: SimulatedDisk;
  readonly index: MessageIndex;
}

/** What the queue said, by recipient `id:position`. */
class Ledger {
  readonly bodies = new Map<MessageId, string>();
  readonly accepted = new Set<string>();
  readonly ended = new Set<string>();
  /** About which a verdict or removal failed: they may count as either. */
  readonly inDoubt = new Set<string>();
  refusals = 0;

  /** Compares with what is queued; nothing else may be, unless a client was cut off before its answer. */
  check(listed: readonly QueuedMessage[], label: string, isCutOff = false): void {
    const queued = new Set(
      listed.flatMap(({ id, recipients }) =>
        recipients.flatMap(({ state }, position) => (state === 'todo' ? [`${id}:${position}`] : [])),
      ),
    );
    const lost = [...this.accepted].filter(
      (one) => !this.ended.has(one) && !queued.has(one) && !this.inDoubt.has(one),
    );
    const twice = [...this.ended].filter((one) => queued.has(one));
    const unknown = isCutOff ? [] : [...queued].filter((one) => !this.accepted.has(one));
    assert.deepEqual({ lost, twice, unknown }, { lost: [], twice: [], unknown: [] }, label);
  }
}

function open({ disk, index }: Machine): Promise<EmbeddedQueue> {
  return EmbeddedQueue.open({
    ...{ folder: '/queue', files: disk, clock: new ManualClock(), log: { write: () => undefined } },
    index: { ...index, close: async () => undefined },
    ...{ segmentSize: 2048, inlineSizeMax: 600, journalSizeMax: 3000 },
  });
}

/** A disk that fails at the start keeps the hub from starting, and a later start finds nothing amiss. */
async function openInTheEnd(machine: Machine): Promise<EmbeddedQueue> {
  for (;;) {
    const queue = await open(machine).catch((error: unknown) => {
      assert.ok(error instanceof SystemError, String(error));
    });
    if (queue !== undefined) return queue;
  }
}

async function takeIn(queue: Queue, ledger: Ledger, body: string): Promise<void> {
  const intake = queue.begin();
  await intake.write(bytesOf(body));
  const recipients = ['a@h', 'b@far', 'c@far'].map((text) => ({
    channel: text === 'a@h' ? ('local' as const) : ('remote' as const),
    address: bytesOf(text),
  }));
  try {
    const id = await intake.commit({ sender: bytesOf('s@h'), recipients });
    ledger.bodies.set(id, body);
    for (const position of recipients.keys()) ledger.accepted.add(`${id}:${position}`);
  } catch (error) {
    assert.ok(error instanceof SystemError, String(error));
    ledger.refusals++;
  }
}

/** Records verdicts, again if that fails, as delivery does. */
async function settle(queue: Queue, ledger: Ledger, job: Job, verdicts: readonly Verdict[]): Promise<void> {
  const about = verdicts.map(({ index }) => `${job.id}:${index}`);
  for (let tries = 1; ; tries++) {
    try {
      const { finished, failures } = await queue.settle(job, verdicts, 5);
      for (const one of about) ledger.ended.add(one);
      for (const one of about) ledger.inDoubt.delete(one);
      if (finished && failures.length > 0) await queue.remove(job.id);
      return;
    } catch (error) {
      assert.ok(error instanceof SystemError, String(error));
      if (ledger.ended.has(about[0]!)) return;
      for (const one of about) ledger.inDoubt.add(one);
      if (tries === 3) return;
    }
  }
}

/** Takes in messages, several at a time, and ends some of their recipients. */
async function workload(queue: Queue, ledger: Ledger): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(SIZES.map((size, i) => takeIn(queue, ledger, `${round}.${i} ${'x'.repeat(size)}`)));
    for (const channel of ['local', 'remote'] as const) {
      const jobs = await queue.claim(channel, Number.MAX_SAFE_INTEGER, 3).catch(() => []);
      for (const [i, job] of jobs.entries()) {
        const some = i === 2 ? job.recipients.slice(0, 1) : job.recipients;
        const state = i === 1 ? 'failed' : 'done';
        await settle(
          queue,
          ledger,
          job,
          some.map(({ index }) => ({ index, state, report: 'no' })),
        );
      }
    }
  }
}

async function listAll(queue: Queue): Promise<QueuedMessage[]> {
  const all: QueuedMessage[] = [];
  for await (const message of queue.list()) all.push(message);
  return all;
}

/** Checks what is there now, that it goes on, and what the next process finds after a crash. */
async function checkAll(
  machine: Machine,
  queue: EmbeddedQueue,
  ledger: Ledger,
  label: string,
): Promise<void> {
  ledger.check(await listAll(queue), label);
  const refusals = ledger.refusals;
  await takeIn(queue, ledger, 'after');
  assert.equal(ledger.refusals, refusals, `${label}: it goes on`);
  const { atStart, accepted, delivered, failed, removed, queued } = queue.tally();
  assert.equal(atStart + accepted, delivered + failed + removed + queued, `${label}: the tally`);
  const again = await open({ ...machine, disk: machine.disk.afterCrash() });
  const listed = await listAll(again);
  ledger.check(listed, `${label}, after a crash`);
  for (const { id } of listed) assert.equal(textOf(await again.read(id)), ledger.bodies.get(id), label);
  await again.close();
}

async function dryRun(): Promise<{ operations: number; calls: string[]; ledger: Ledger }> {
  const calls: string[] = [];
  const index = failingIndex(openDirectIndex(':memory:'), (method) => void calls.push(method));
  const machine = { disk: new SimulatedDisk(seededRandom(1)), index };
  const queue = await open(machine);
  const ledger = new Ledger();
  const [from, fromCalls] = [machine.disk.operations, calls.length];
  assert.equal(from > 0 && fromCalls > 0, true);
  await workload(queue, ledger);
  await queue.close();
  return { operations: machine.disk.operations, calls, ledger };
}

/** An index whose calls fail, and change nothing, if `fault` throws. */
function failingIndex(index: MessageIndex, fault: (method: string) => void): MessageIndex {
  const wrapped = Object.entries(index).map(([method, call]) => [
    method,
    async (...args: unknown[]) => {
      fault(method);
      return (call as (...args: unknown[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as MessageIndex;
}

describe('EmbeddedQueue with one failure', () => {
  for (const [code, length] of [
    ['EIO', 1],
    ['EIO', 7],
    ['ENOSPC', 2],
    ['EROFS', 20],
  ] as const) {
    it(`keeps its accounts whichever operation of the disk fails with ${code}, ${length} in a row`, async () => {
      const { operations, ledger: whole } = await dryRun();
      assert.equal(whole.refusals, 0);
      assert.ok(whole.ended.size > 10, 'the workload ends recipients');
      let refused = 0;
      for (let at = 1; at <= operations; at++) {
        const machine = { disk: new SimulatedDisk(seededRandom(at)), index: openDirectIndex(':memory:') };
        machine.disk.setFault({
          fail: (operation) => (operation >= at && operation < at + length ? code : undefined),
        });
        const running = await openInTheEnd(machine);
        const ledger = new Ledger();
        await workload(running, ledger);
        refused += ledger.refusals;
        machine.disk.setFault({});
        await checkAll(machine, running, ledger, `${code} at ${at}`);
      }
      assert.ok(refused > 5, `${refused} refusals`);
    });
  }

  it('keeps its accounts whichever call of the index fails', async () => {
    const { calls } = await dryRun();
    for (const needed of ['insert', 'claim', 'settle'])
      assert.ok(calls.includes(needed), `${needed} is called`);
    for (let at = 2; at <= calls.length; at++) {
      let count = 0;
      const index = failingIndex(openDirectIndex(':memory:'), (method) => {
        if (++count === at) throw new SystemError(method, 'index', new Error('database or disk is full'));
      });
      const machine = { disk: new SimulatedDisk(seededRandom(at)), index };
      const queue = await openInTheEnd(machine);
      const ledger = new Ledger();
      await workload(queue, ledger);
      await checkAll(machine, queue, ledger, `call ${at}, ${calls[at - 1]}`);
    }
  });

  it('keeps its accounts whenever the machine goes off, while messages move to the index', async () => {
    const { operations } = await dryRun();
    for (let at = 1; at <= operations; at++) {
      const disk = new SimulatedDisk(seededRandom(at), { dieAt: at });
      const index = openDirectIndex(':memory:');
      const whileOn = failingIndex(index, (method) => {
        if (disk.isDead) throw new SystemError(method, 'index', new Error('the machine is off'));
      });
      const queue = await open({ disk, index: whileOn }).catch(() => undefined);
      const ledger = new Ledger();
      if (queue !== undefined) await workload(queue, ledger);
      assert.ok(disk.isDead);
      const again = await open({ disk: disk.afterCrash(), index });
      const listed = await listAll(again);
      ledger.check(listed, `off at ${at}`, true);
      for (const { id } of listed) {
        const body = textOf(await again.read(id));
        assert.equal(body, ledger.bodies.get(id) ?? body);
      }
      await again.close();
    }
  });
});
