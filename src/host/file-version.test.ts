import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileVersion } from './file-version.ts';
import { SystemError } from './system-error.ts';

test('fileVersion() changes with another content and with another file of the same content', () => {
  const folder = mkdtempSync(join(tmpdir(), 'file-version-'));
  try {
    const path = join(folder, 'a');
    assert.equal(fileVersion(path), undefined);
    writeFileSync(path, 'x');
    const first = fileVersion(path);
    assert.equal(fileVersion(path), first);
    writeFileSync(path, 'xy');
    const second = fileVersion(path);
    writeFileSync(join(folder, 'b'), 'xy');
    renameSync(join(folder, 'b'), path);
    assert.equal(new Set([first, second, fileVersion(path)]).size, 3);
    assert.equal(fileVersion(join(path, 'c')), undefined);
    assert.throws(() => fileVersion('c'.repeat(5000)), SystemError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
