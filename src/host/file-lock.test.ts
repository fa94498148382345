import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { missingPeers } from '../../test/support/peers.ts';
import { lockFile, tryLockFile } from './file-lock.ts';
import { Environment } from './raw-arguments.ts';

test('lockFile() keeps others out until the file is closed', { skip: missingPeers('flock') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'file-lock-'));
  try {
    const path = join(folder, 'mbox');
    const isFree = () => spawnSync('flock', ['-n', path, 'true']).status === 0;
    const descriptor = openSync(path, 'a');
    assert.equal(isFree(), true);
    lockFile(descriptor, new Environment({}));
    assert.equal(isFree(), false);
    closeSync(descriptor);
    assert.equal(isFree(), true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('tryLockFile() tells whether somebody has the lock, on a folder too', {
  skip: missingPeers('flock'),
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'file-lock-'));
  const env = new Environment({});
  try {
    const [first, second] = [openSync(folder, 'r'), openSync(folder, 'r')];
    assert.equal(tryLockFile(first, env), true);
    assert.equal(tryLockFile(second, env), false);
    closeSync(first);
    assert.equal(tryLockFile(second, env), true);
    closeSync(second);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
