// Bounced messages on disk: what is kept comes back as it was, in any bytes; limits of age and size; what a crash leaves.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { BouncedFiles, type BouncedFilesOptions, type BouncedMessage } from './bounced-files.ts';

const NOW_MS = Date.UTC(2026, 10, 23);
const HOUR_MS = 3_600_000;

function createBench(t: TestContext, more: Partial<BouncedFilesOptions> = {}) {
  const home = mkdtempSync(join(tmpdir(), 'mini-qmail-bounced-'));
  t.after(() => rmSync(home, { recursive: true }));
  const folder = join(home, 'bounced');
  const clock = new ManualClock(NOW_MS);
  const open = () => new BouncedFiles({ folder, clock, lifetimeMs: HOUR_MS, bytesMax: 1 << 20, ...more });
  return { folder, clock, open };
}

function message(id: number, bouncedMs = NOW_MS): BouncedMessage {
  return {
    ...{ id, birthMs: NOW_MS - 5, bouncedMs, size: 4, noticeId: id + 1, sender: bytesOf('a\xff"\n@b') },
    recipients: [{ address: bytesOf('x\n@c'), channel: 'remote', report: 'no\n\xe4\n', dsn: { notify: 2 } }],
    dsn: { envid: 'e' },
  };
}

async function idsOf(files: BouncedFiles): Promise<number[]> {
  const ids = [];
  for await (const { id } of files.list()) ids.push(id);
  return ids;
}

/** Lets the removal of files that a timer has begun come to its end. */
async function settle(until: () => boolean): Promise<void> {
  while (!until()) await new Promise((resolve) => setImmediate(resolve));
}

test('what is kept is read back to the byte, by this process and the next', async (t) => {
  const { folder, open } = createBench(t);
  const files = open();
  assert.deepEqual(await idsOf(files), []);
  assert.equal(await files.keep(message(12), bytesOf('\n\0\xff\n')), true);
  await files.keep(message(3), bytesOf(''));
  assert.equal(statSync(join(folder, '12')).mode & 0o777, 0o600);
  for (const one of [files, open()]) {
    assert.deepEqual(await idsOf(one), [3, 12]);
    assert.deepEqual(await one.find(12), message(12));
    assert.equal(textOf(await one.read(12)), '\n\0\xff\n');
    assert.equal((await one.stats()).messages, 2);
    await one.close();
  }
});

test('a head that is longer than what is read at once is read in full', async (t) => {
  const { open } = createBench(t);
  const files = open();
  const [one] = message(1).recipients;
  const recipients = Array.from({ length: 3000 }, (_, i) => ({ ...one!, address: bytesOf(`u${i}@c`) }));
  await files.keep({ ...message(1), recipients }, bytesOf('body'));
  assert.equal((await files.find(1))?.recipients.length, 3000);
  assert.equal(textOf(await files.read(1)), 'body');
});

test('the oldest go when they are too many bytes, and what is too large alone is not kept', async (t) => {
  const { open } = createBench(t, { bytesMax: 1000 });
  const files = open();
  for (let id = 1; id <= 4; id++) await files.keep(message(id, NOW_MS + id), new Uint8Array(100));
  const kept = await idsOf(files);
  assert.ok(kept.length >= 1 && kept.length < 4 && kept.at(-1) === 4, String(kept));
  assert.ok((await files.stats()).bytes <= 1000);
  assert.equal(await files.keep(message(9), new Uint8Array(1000)), false);
  assert.deepEqual(await idsOf(files), kept);
});

test('each goes when its time is over, over a restart too', async (t) => {
  const { folder, clock, open } = createBench(t);
  const files = open();
  await files.keep(message(1), bytesOf('x'));
  clock.advance(HOUR_MS / 2);
  await files.keep(message(2, clock.nowMs()), bytesOf('x'));
  clock.advance(HOUR_MS / 2);
  await settle(() => readdirSync(folder).join() === '2');
  await files.close();
  const oldS = (clock.nowMs() - 2 * HOUR_MS) / 1000;
  utimesSync(join(folder, '2'), oldS, oldS);
  assert.deepEqual(await idsOf(open()), []);
  assert.deepEqual(readdirSync(folder), []);
  assert.equal(clock.nextTimerMs(), undefined);
});

test('a message that is kept twice is there once, and counts once', async (t) => {
  const { open } = createBench(t);
  const files = open();
  for (let i = 0; i < 2; i++) await files.keep(message(1), new Uint8Array(100));
  const { messages, bytes } = await files.stats();
  assert.deepEqual([messages, bytes < 600], [1, true]);
  await files.remove(1);
  assert.deepEqual(await files.stats(), { messages: 0, bytes: 0 });
});

test('what a crash has left of a file is removed, and what is no message is passed over', async (t) => {
  const { folder, open } = createBench(t, { lifetimeMs: 1e15 });
  const files = open();
  await files.keep(message(1), bytesOf('x'));
  writeFileSync(join(folder, '5.new'), '{"id":5');
  writeFileSync(join(folder, '6'), '{"id":6');
  const next = open();
  assert.deepEqual(await idsOf(next), [1]);
  assert.equal(existsSync(join(folder, '5.new')), false);
});

test('a lifetime of 0, or no bytes, keeps nothing', async (t) => {
  for (const more of [{ lifetimeMs: 0 }, { bytesMax: 0 }]) {
    const { folder, open } = createBench(t, more);
    assert.equal(await open().keep(message(1), bytesOf('x')), false);
    assert.equal(existsSync(folder), false);
  }
});
