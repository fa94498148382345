import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { errorCode } from '../host/system-error.ts';
import { findProgram } from './find-program.ts';

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'find-program-'));
  for (const name of ['one', 'two']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'one/data'), 'x', { mode: 0o644 });
  mkdirSync(join(folder, 'one/both'));
  for (const [path, content] of [
    ['two/both', '#!/bin/sh\n'],
    ['two/broken', '#! /no/such/interpreter -x\n'],
    ['two/data', ''],
  ] as const) {
    writeFileSync(join(folder, path), content);
    chmodSync(join(folder, path), 0o755);
  }
});
after(() => rmSync(folder, { recursive: true }));

const find = (name: string, path?: string) => {
  const found = findProgram(name, path);
  return 'path' in found ? found.path : errorCode(found.error);
};

test('findProgram() takes the first file in PATH that can be run', () => {
  const path = `${folder}/none:${folder}/one:${folder}/two`;
  assert.equal(find('both', path), `${folder}/two/both`);
  assert.equal(find('data', path), `${folder}/two/data`);
  assert.equal(find('nothing', path), 'ENOENT');
  assert.equal(find('broken', path), 'ENOENT');
  assert.equal(find('data', `${folder}/one`), 'EACCES');
  assert.equal(find('data', `${folder}/one:${folder}/none`), 'EACCES');
  assert.equal(find('data', `${folder}/one/data:${folder}/two`), 'ENOTDIR');
  assert.equal(find('sh'), '/bin/sh');
});

test('findProgram() looks nowhere for a name with a slash', () => {
  assert.equal(find(`${folder}/two/both`, ''), `${folder}/two/both`);
  assert.equal(find('two/both', folder), 'ENOENT');
});

test('findProgram() takes an empty folder for the working directory', () => {
  assert.equal(find('package.json', ''), 'EACCES');
  assert.equal(find('no-such-file', ':'), 'ENOENT');
});
