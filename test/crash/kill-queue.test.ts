// kill -9 of a process whose queue spills all the time: messages in the journal, on the way to the index and in it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { NODE_FILES } from '../../src/host/files.ts';
import { EmbeddedQueue } from '../../src/queue/embedded-queue.ts';
import { openDirectIndex } from '../../src/queue/worker-index.ts';
import { ROOT } from '../support/client-vectors.ts';
import { seededRandom } from '../support/simulated-disk.ts';

const KILLS = Number(process.env['MINI_QMAIL_KILLS'] ?? 8);
const SEED = Number(process.env['MINI_QMAIL_SEED'] ?? Math.floor(Math.random() * 1e9));
const LINES_BEFORE_KILL_MAX = 1500;

/** Runs the writer until it has promised so much, kills it, and keeps its promises in mind. */
async function runAndKill(
  folder: string,
  seed: number,
  lines: number,
  accepted: Map<number, number>,
  done: Set<number>,
): Promise<void> {
  const writer = spawn(process.execPath, [join(ROOT, 'test/support/queue-writer.ts'), folder, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(writer, 'close');
  let left = lines;
  for await (const line of createInterface({ input: writer.stdout })) {
    const [word, id, size] = line.split(' ');
    if (word === 'accepted') accepted.set(Number(id), Number(size));
    if (word === 'done') done.add(Number(id));
    if (--left === 0) writer.kill('SIGKILL');
  }
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL', 'the writer was killed and did not fail by itself');
}

async function checkPromises(
  folder: string,
  accepted: Map<number, number>,
  done: Set<number>,
): Promise<number> {
  const queue = await EmbeddedQueue.open({
    folder,
    files: NODE_FILES,
    index: openDirectIndex(`${folder}/index.sqlite`),
    clock: SYSTEM_CLOCK,
    log: { write: () => undefined },
  });
  const listed = new Set<number>();
  for await (const { id, size } of queue.list()) {
    listed.add(id);
    assert.equal((await queue.read(id)).length, size);
    if (accepted.has(id)) assert.equal(accepted.get(id), size);
  }
  for (const id of done) assert.ok(!listed.has(id), `message ${id} was delivered and is back`);
  const missing = [...accepted.keys()].filter((id) => !listed.has(id) && !done.has(id));
  await queue.close();
  return missing.length;
}

describe('a spilling queue that is killed', () => {
  it(`keeps its promises over ${KILLS} kills`, async (t) => {
    t.diagnostic(`seed ${SEED}`);
    const random = seededRandom(SEED);
    const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-kill-'));
    const accepted = new Map<number, number>();
    const done = new Set<number>();
    try {
      for (let round = 1; round <= KILLS; round++) {
        await runAndKill(
          folder,
          SEED + round,
          2 + Math.floor(random() * LINES_BEFORE_KILL_MAX),
          accepted,
          done,
        );
        const missing = await checkPromises(folder, accepted, done);
        // A settle that was on disk but not yet told: at most the three jobs that the writer has at a time, per kill.
        assert.ok(missing <= 3 * round, `${missing} messages are missing after ${round} kills`);
      }
      t.diagnostic(`${accepted.size} accepted, ${done.size} delivered`);
      assert.ok(readdirSync(folder).includes('index.sqlite'));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
