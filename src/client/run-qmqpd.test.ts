import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { feedEveryWay } from '../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { runQmqpd } from './run-qmqpd.ts';

let home: string;
let clock: ManualClock;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'run-qmqpd-'));
  mkdirSync(join(home, 'bin'));
  clock = new ManualClock(1_000_000_000_000);
});
afterEach(() => rmSync(home, { recursive: true }));

function installQueue(script: string): void {
  writeFileSync(join(home, 'bin/qmail-queue'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

/** Serves a client that sends these pieces and then closes, or says nothing more for ever. */
async function serve(pieces: Uint8Array[], { closes = true, from = home } = {}) {
  const replies: Uint8Array[] = [];
  const waiting = pieces.slice();
  const never = new Promise<undefined>(() => {});
  const exit = await runQmqpd({
    input: { read: () => (waiting.length > 0 || closes ? Promise.resolve(waiting.shift()) : never) },
    output: {
      async write(parts) {
        replies.push(...parts);
        return true;
      },
    },
    env: { PATH: '/usr/bin:/bin' },
    home: from,
    ownBin: '/nowhere',
    clock,
  });
  return { exit, reply: replies.map(textOf).join('') };
}

const REQUEST = bytesOf('15:2:m\n,1:s,3:r@y,,');

test('runQmqpd() puts the field on top, queues and says the time and the program that did it', async () => {
  installQueue('cat >fd0; cat <&1 >fd1; printf $$ >pid');
  const { exit, reply } = await serve([REQUEST]);
  assert.equal(exit, 0);
  const pid = readFileSync(join(home, 'pid'), 'utf8');
  assert.equal(reply, `${18 + pid.length}:Kok 1000000000 qp ${pid},`);
  const field = 'Received: from unknown (unknown)\n  by unknown with QMQP; 9 Sep 2001 01:46:40 -0000\n';
  assert.equal(readFileSync(join(home, 'fd0'), 'latin1'), `${field}m\n`);
  assert.equal(readFileSync(join(home, 'fd1'), 'latin1'), 'Fs\0Tr@y\0\0');
});

test('runQmqpd() says the same however the request is cut', async () => {
  installQueue('cat >/dev/null; cat <&1 >/dev/null; exit 53');
  const runs: Promise<{ exit: number; reply: string }>[] = [];
  feedEveryWay(REQUEST, (pieces) => {
    runs.push(serve(pieces));
  });
  for (const run of await Promise.all(runs))
    assert.deepEqual(run, { exit: 0, reply: '37:Zqq write error or disk full (#4.3.0),' });
});

test('runQmqpd() ends with 111 and without a reply after one hour', async () => {
  installQueue('cat >fd0; cat <&1 >fd1; touch ended');
  const run = serve([REQUEST.subarray(0, 10)], { closes: false });
  clock.advance(3_599_999);
  assert.notEqual(clock.nextTimerMs(), undefined);
  clock.advance(1);
  assert.deepEqual(await run, { exit: 111, reply: '' });
  while (!existsSync(join(home, 'ended'))) await new Promise(setImmediate);
  assert.equal(readFileSync(join(home, 'fd1'), 'latin1'), '');
});

test('runQmqpd() lets go of the clock when it has replied', async () => {
  installQueue('cat >/dev/null; cat <&1 >/dev/null');
  await serve([REQUEST]);
  assert.equal(clock.nextTimerMs(), undefined);
});

test('runQmqpd() ends with 111 when the home cannot be entered, but not before a message begins', async () => {
  assert.deepEqual(await serve([REQUEST], { from: '/no/home' }), { exit: 111, reply: '' });
  assert.deepEqual(await serve([bytesOf('15:')], { from: '/no/home' }), { exit: 0, reply: '' });
});
