// The database of the index is on a disk that is full, while the journal's is not: mail is taken in up to twice the journal's
// limit, then refused for now, and taken again by itself once there is room. Nothing that was acknowledged is lost.

import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { NODE_FILES } from '../../src/host/files.ts';
import { EmbeddedQueue } from '../../src/queue/embedded-queue.ts';
import { openWorkerIndex } from '../../src/queue/worker-index.ts';
import { mountSmall, unmount, whyNoSmallDisk } from '../support/small-disk.ts';

const MEGABYTES = 8;

test('a full database refuses mail only when the journal is full as well, and loses nothing', {
  skip: whyNoSmallDisk(),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-index-'));
  const small = mountSmall(MEGABYTES) as string;
  const events: string[] = [];
  const open = () =>
    EmbeddedQueue.open({
      folder,
      files: NODE_FILES,
      index: openWorkerIndex(join(small, 'index.sqlite')),
      clock: SYSTEM_CLOCK,
      log: { write: (event, facts) => void events.push(`${event} ${String(facts['reason'])}`) },
      ...{ segmentSize: 256 << 10, journalSizeMax: 1 << 20 },
    });
  const accepted: number[] = [];
  const queue = await open();
  const accept = async () => {
    const intake = queue.begin();
    await intake.write(bytesOf('x'.repeat(20_000)));
    const recipient = { channel: 'local' as const, address: bytesOf('r@h') };
    accepted.push(await intake.commit({ sender: bytesOf('s@h'), recipients: [recipient] }));
  };
  try {
    for (let i = 0; i < 20; i++) await accept();
    const filler = join(small, 'filler');
    while (statfsSync(small).bavail > 0) appendFileSync(filler, Buffer.alloc(statfsSync(small).bsize));
    let refused: unknown;
    while (refused === undefined && accepted.length < 1000)
      await accept().catch((error) => (refused = error));
    assert.match(String(refused), /it is at its size limit and the index takes nothing/);
    assert.ok(accepted.length > 80, `${accepted.length} accepted before`);
    assert.ok(
      events.some((line) => /^queue\.spill-failed .*disk is full/.test(line)),
      events.join('\n'),
    );
    rmSync(filler);
    for (let i = 0; i < 20; i++) await accept();
    const listed: number[] = [];
    for await (const { id } of queue.list()) listed.push(id);
    assert.deepEqual(
      listed.sort((a, b) => a - b),
      accepted,
    );
    await queue.close();
    const again = await open();
    assert.equal(again.tally().queued, accepted.length);
    for (const id of accepted) assert.equal((await again.read(id)).length, 20_000);
    await again.close();
  } finally {
    rmSync(folder, { recursive: true });
    unmount(small);
  }
});
