import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { NODE_FILES } from './files.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'files-'));
  path = join(folder, 'file');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('an open file writes and reads at positions', async () => {
  for (const sync of [false, true]) {
    const name = `${path}-${sync}`;
    const file = await NODE_FILES.open(name, { create: true, sync });
    await file.write(bytesOf('hello'), 0);
    await file.write(bytesOf('LL'), 2);
    await file.write(bytesOf(''), 9);
    await file.write(bytesOf('!'), 8);
    assert.equal(textOf(await file.read(1, 3)), 'eLL');
    assert.equal(textOf(await file.read(7, 100)), '\0!');
    assert.equal((await file.read(100, 5)).length, 0);
    await file.flush();
    await file.close();
    assert.equal(readFileSync(name, 'latin1'), 'heLLo\0\0\0!');
    assert.equal(statSync(name).mode & 0o777, 0o600);
  }
});

test('large writes and reads are done to the end', async () => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * i) % 251);
  const file = await NODE_FILES.open(path, { create: true });
  await file.write(bytes, 10);
  assert.deepEqual(new Uint8Array(await file.read(10, bytes.length)), bytes);
  await file.close();
});

test('open() takes a file that is there or makes one that is not, and never confuses the two', async () => {
  await assert.rejects(NODE_FILES.open(path, {}), { code: 'ENOENT' });
  assert.equal(existsSync(path), false);
  writeFileSync(path, 'x');
  await assert.rejects(NODE_FILES.open(path, { create: true }), { code: 'EEXIST' });
  assert.equal(readFileSync(path, 'latin1'), 'x');
  const reader = await NODE_FILES.open(path, { readOnly: true });
  await assert.rejects(reader.write(bytesOf('y'), 0), { code: 'EBADF' });
  assert.equal(textOf(await reader.read(0, 9)), 'x');
  await reader.close();
});

test('whole files are read, moved and removed; removing one that is not there is fine', async () => {
  writeFileSync(path, 'abc');
  assert.equal(textOf(await NODE_FILES.readWhole(path)), 'abc');
  await NODE_FILES.rename(path, `${path}2`);
  assert.deepEqual(await NODE_FILES.list(folder), ['file2']);
  await NODE_FILES.remove(`${path}2`);
  await NODE_FILES.remove(`${path}2`);
  assert.deepEqual(await NODE_FILES.list(folder), []);
  await assert.rejects(NODE_FILES.readWhole(path), { code: 'ENOENT' });
  await assert.rejects(NODE_FILES.rename(path, `${path}2`), { code: 'ENOENT' });
});

test('folders are made with those above them, for their owner alone, and again without harm', async () => {
  const deep = join(folder, 'a/b');
  for (let i = 0; i < 2; i++) await NODE_FILES.makeFolder(deep);
  for (const made of [deep, join(folder, 'a')]) assert.equal(statSync(made).mode & 0o777, 0o700);
  await NODE_FILES.flushFolder(deep);
  await assert.rejects(NODE_FILES.flushFolder(join(folder, 'none')), { code: 'ENOENT' });
});
