// An operator removes thousands of messages, most of which are in the index, while mail comes in without a pause: exactly
// those are gone, and no acknowledgement waits for more than a small part of the removals. The embedded store on a real disk.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { NODE_FILES } from '../../src/host/files.ts';
import { openBounced } from '../../src/hub/bounced-files.ts';
import { Operator } from '../../src/hub/operator.ts';
import { EmbeddedQueue } from '../../src/queue/embedded-queue.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { openWorkerIndex } from '../../src/queue/worker-index.ts';

const PURGED = Number(process.env['MINI_QMAIL_PURGE'] ?? 5_000);
const CLIENTS = 20;
const BODY = bytesOf(`Subject: x\n\n${'x'.repeat(1000)}\n`);
const SILENT = { write: () => undefined };

async function accept(queue: Queue, sender: string, serial: number): Promise<void> {
  const intake = queue.begin();
  await intake.write(BODY);
  const recipient = { channel: 'remote' as const, address: bytesOf(`u@far${serial % 100}.example`) };
  await intake.commit({ sender: bytesOf(sender), recipients: [recipient] });
}

/** Runs the task over and over, so many at a time, until it says that it is over. */
async function repeat(count: number, task: () => Promise<boolean>): Promise<void> {
  const run = async () => {
    while (await task());
  };
  await Promise.all(Array.from({ length: count }, run));
}

/** So much journal that most of what waits is in the index. */
function open(folder: string): Promise<EmbeddedQueue> {
  return EmbeddedQueue.open({
    folder,
    files: NODE_FILES,
    index: openWorkerIndex(join(folder, 'index.sqlite')),
    ...{ clock: SYSTEM_CLOCK, log: SILENT, segmentSize: 1 << 20, journalSizeMax: PURGED * 200 },
  });
}

test(`${PURGED} messages are removed while others come in`, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'mini-qmail-purge-'));
  const queue = await open(join(home, 'queue'));
  const operator = new Operator({
    ...{ queue, clock: SYSTEM_CLOCK, log: SILENT, events: SILENT, finish: () => undefined },
    classify: (address) => ({ address, channel: 'remote' }),
    bounced: openBounced(home, SYSTEM_CLOCK),
  });
  try {
    let serial = 0;
    await repeat(500, async () => {
      if (serial >= PURGED) return false;
      await accept(queue, 'purged@a', serial++);
      return true;
    });
    let removed = 0;
    let accepted = 0;
    let isOver = false;
    let longest = 0;
    const order = { action: 'rm', selection: { sender: 'purged@a' }, dryRun: false } as const;
    const purge = operator
      .carryOut(order, () => removed++)
      .finally(() => {
        isOver = true;
      });
    const intake = repeat(CLIENTS, async () => {
      const before = removed;
      await accept(queue, 'kept@a', accepted++);
      longest = Math.max(longest, removed - before);
      return !isOver;
    });
    const [summary] = await Promise.all([purge, intake]);
    t.diagnostic(`${accepted} accepted meanwhile; the slowest waited for ${longest} removals`);
    assert.equal(summary.done, PURGED);
    // The operator goes on by 500: an acknowledgement never waits for more than a few such steps.
    assert.ok(longest <= 2500, `one waited for ${longest} removals`);
    assert.ok(accepted > PURGED / 50, `${accepted} accepted meanwhile`);
    const senders = new Map<string, number>();
    for await (const { sender } of queue.list())
      senders.set(textOf(sender), (senders.get(textOf(sender)) ?? 0) + 1);
    assert.deepEqual([...senders], [['kept@a', accepted]]);
    const tally = queue.tally();
    assert.deepEqual([tally.removed, tally.queued, tally.accepted], [PURGED, accepted, PURGED + accepted]);
  } finally {
    await operator.stop();
    await queue.close();
    rmSync(home, { recursive: true });
  }
});
