// Putting a message into a queue that another process has: in virtual time.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import { ManualClock } from '../host/manual-clock.ts';
import type { EmbeddedQueue } from '../queue/embedded-queue.ts';
import { queueMessage } from './hub-queue.ts';
import { openQueue } from './open-queue.ts';
import { openStore } from './open-store.ts';

const LOG = { write: () => undefined };

let home: string;
let holder: EmbeddedQueue;
let manual: ManualClock;
let pauses: number;
/** Called at each pause; time passes by itself afterwards. */
let onPause: () => Promise<void>;
let clock: Clock;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'hub-queue-'));
  mkdirSync(join(home, 'control'));
  mkdirSync(join(home, 'queue'));
  writeFileSync(join(home, 'control/me'), 'hub.example\n');
  manual = new ManualClock();
  pauses = 0;
  onPause = async () => undefined;
  clock = {
    nowMs: () => manual.nowMs(),
    steadyMs: () => manual.steadyMs(),
    after(delayMs, callback) {
      const callOff = manual.after(delayMs, callback);
      if (delayMs <= 100) {
        pauses++;
        void onPause().then(() => manual.advance(delayMs));
      }
      return callOff;
    },
  };
  holder = await openStore(home, manual);
});
afterEach(() => rmSync(home, { recursive: true }));

function queueOne(): Promise<number> {
  const envelope = { sender: bytesOf('a@b'), recipients: [bytesOf('c@d')] };
  return queueMessage({ home, env: {}, message: [bytesOf('x')], envelope, clock });
}

test('queueMessage() waits until the other one is done', async () => {
  onPause = async () => {
    if (pauses === 3) await holder.close();
  };
  assert.equal(await queueOne(), 0);
  assert.equal(pauses, 3);
  const queue = await openStore(home, manual);
  assert.equal(queue.stats().messages, 1);
  await queue.close();
});

test('queueMessage() gives up after ten seconds, for now', async () => {
  const startMs = manual.nowMs();
  assert.equal(await queueOne(), 66);
  assert.equal(manual.nowMs() - startMs, 9_900);
  assert.equal(holder.stats().messages, 0);
  await holder.close();
});

test('openQueue() of a hub that starts waits for a program that has the queue', async () => {
  onPause = async () => {
    if (pauses === 2) await holder.close();
  };
  const queue = await openQueue(home, { clock, log: LOG });
  assert.equal(pauses, 2);
  await queue.close();
});

test('openQueue() gives up after five seconds', async () => {
  const startMs = manual.nowMs();
  await assert.rejects(openQueue(home, { clock, log: LOG }), /database is locked/);
  assert.equal(manual.nowMs() - startMs, 4_900);
  await holder.close();
});
