// A process that works on an embedded queue with tiny segments, so that most messages go through journal, spill and index, and
// tells on standard output what it was promised: `accepted ID SIZE`, `done ID`. Meant to be killed.

import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { NODE_FILES } from '../../src/host/files.ts';
import { EmbeddedQueue } from '../../src/queue/embedded-queue.ts';
import { openWorkerIndex } from '../../src/queue/worker-index.ts';
import { seededRandom } from './simulated-disk.ts';

const [folder, seed] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const queue = await EmbeddedQueue.open({
  folder: folder!,
  files: NODE_FILES,
  index: openWorkerIndex(`${folder}/index.sqlite`),
  clock: SYSTEM_CLOCK,
  log: { write: () => undefined },
  segmentSize: 8192,
  journalSizeMax: 16384,
  inlineSizeMax: 2000,
});

async function acceptOne(): Promise<void> {
  const size = Math.floor(random() * 3000);
  const intake = queue.begin();
  await intake.write(Buffer.alloc(size, 'x'));
  const id = await intake.commit({
    sender: Buffer.from('s@h'),
    recipients: [{ channel: 'local', address: Buffer.from('r@h') }],
  });
  process.stdout.write(`accepted ${id} ${size}\n`);
}

async function settleSome(): Promise<void> {
  for (const job of await queue.claim('local', Date.now(), 3)) {
    // Two of three are delivered; the third is tried again at once, so that old messages stay.
    const isDone = random() < 0.66;
    await queue.settle(job, isDone ? [{ index: 0, state: 'done' }] : [], Date.now());
    if (isDone) process.stdout.write(`done ${job.id}\n`);
  }
}

process.stdout.write('ready\n');
for (;;) await Promise.all([acceptOne(), acceptOne(), acceptOne(), acceptOne(), settleSome()]);
