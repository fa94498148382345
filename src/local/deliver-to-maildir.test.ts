import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { deliverToMaildir } from './deliver-to-maildir.ts';
import { DeliveryFailure } from './delivery-failure.ts';

test('deliverToMaildir() waits for another name twice, and then gives up', () => {
  const folder = mkdtempSync(join(tmpdir(), 'maildir-'));
  try {
    for (const part of ['tmp', 'new', 'cur']) mkdirSync(join(folder, part));
    const host = `${'h'.repeat(60)}/:and-more`;
    const safeHost = `${'h'.repeat(60)}\\057\\072a`;
    const taken = [1000, 1002, 1004].map((seconds) => `${seconds}.77.${safeHost}`);
    for (const name of taken) writeFileSync(join(folder, 'tmp', name), 'another');
    let nowMs = 1_000_500;
    const platform = {
      nowMs: () => nowMs,
      pause: (ms: number) => {
        nowMs += ms;
      },
      pid: 77,
      hostName: () => host,
      lockWaitMs: 0,
    };
    const nothing = new Uint8Array(0);
    const lines = { from: nothing, returnPath: nothing, deliveredTo: nothing };
    const deliver = () =>
      deliverToMaildir({ folder: bytesOf(`${folder}/`), lines, begun: new Map(), platform });
    assert.throws(deliver, (error) => {
      assert.ok(error instanceof DeliveryFailure);
      assert.equal(textOf(error.text), 'Temporary error on maildir delivery. (#4.3.0)');
      return true;
    });
    assert.equal(nowMs, 1_004_500);
    assert.deepEqual(readdirSync(join(folder, 'tmp')).sort(), taken);
    assert.deepEqual(readdirSync(join(folder, 'new')), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
