import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openForAppend } from './locked-file.ts';

describe('openForAppend()', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'locked-file-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** What happens while the lock is waited for, first, second … */
  function openWhile(...events: (() => void)[]): number {
    const descriptor = openForAppend(Buffer.from(join(folder, 'mbox')), () => events.shift()?.());
    const { ino } = fstatSync(descriptor);
    closeSync(descriptor);
    assert.equal(events.length, 0, 'not opened anew');
    return ino;
  }

  it('opens the file that has taken the place of the one that was waited for', () => {
    const path = join(folder, 'mbox');
    writeFileSync(path, 'old');
    writeFileSync(`${path}.1`, 'one');
    writeFileSync(`${path}.2`, 'two');
    const ino = openWhile(
      () => renameSync(`${path}.1`, path),
      () => renameSync(`${path}.2`, path),
      () => {},
    );
    assert.equal(ino, statSync(path).ino);
  });

  it('makes the file again if it is gone', () => {
    const path = join(folder, 'mbox');
    const ino = openWhile(
      () => rmSync(path),
      () => {},
    );
    assert.equal(ino, statSync(path).ino);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('leaves nothing open if there is no lock to be had', () => {
    let seen = -1;
    const refuse = (descriptor: number) => {
      seen = descriptor;
      throw new Error('refused');
    };
    assert.throws(() => openForAppend(Buffer.from(join(folder, 'mbox')), refuse), /refused/);
    assert.throws(() => fstatSync(seen), /EBADF/);
  });
});
