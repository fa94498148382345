import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { missingPeers } from '../../test/support/peers.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { lockFile } from '../host/file-lock.ts';
import { Environment } from '../host/raw-arguments.ts';
import { deliverToMbox } from './deliver-to-mbox.ts';
import { DeliveryFailure } from './delivery-failure.ts';

test('deliverToMbox() waits for a lock no longer than it must, and writes nothing', {
  skip: missingPeers('flock'),
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'mbox-'));
  try {
    const path = join(folder, 'mbox');
    const env = new Environment({});
    const other = openSync(path, 'a');
    lockFile(other, env);
    const lines = { from: bytesOf('From x\n'), returnPath: bytesOf('R\n'), deliveredTo: bytesOf('D\n') };
    const deliver = () => deliverToMbox({ file: bytesOf(path), lines, env, platform: { lockWaitMs: 200 } });
    assert.throws(deliver, (error) => {
      assert.ok(error instanceof DeliveryFailure);
      assert.equal(error.exit, 111);
      assert.equal(textOf(error.text), 'File has been locked for 0.2 seconds straight. (#4.3.0)');
      return true;
    });
    assert.equal(readFileSync(path, 'utf8'), '');
    closeSync(other);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
