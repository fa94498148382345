import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import {
  readControlLine,
  readControlLineOr,
  readControlList,
  readControlNumber,
  readFileIfPresent,
} from './control.ts';
import { SystemError } from './system-error.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'control-'));
  mkdirSync(join(home, 'control'));
});
afterEach(() => rmSync(home, { recursive: true }));

function put(name: string, content: string): void {
  writeFileSync(join(home, 'control', name), content, 'latin1');
}

test('a missing file has no value, or the default', () => {
  assert.equal(readFileIfPresent(join(home, 'none')), undefined);
  assert.equal(readControlLine(home, 'me'), undefined);
  assert.equal(readControlList(home, 'locals'), undefined);
  assert.equal(readControlNumber(home, 'databytes', 5), 5);
  assert.equal(readControlLine(join(home, 'no-home'), 'me'), undefined);
});

test('a file that is there counts, even an empty one', () => {
  put('me', 'h\xe9.example \n');
  put('empty', '');
  put('number', '12\n');
  put('locals', '# x\na\nb\n');
  assert.equal(textOf(readControlLine(home, 'me')!), 'h\xe9.example');
  assert.equal(readControlLine(home, 'empty')?.length, 0);
  assert.deepEqual(readControlList(home, 'empty'), []);
  assert.deepEqual(readControlList(home, 'locals')?.map(textOf), ['a', 'b']);
  assert.equal(readControlNumber(home, 'number', 5), 12);
  assert.equal(readControlNumber(home, 'empty', 5), 5);
  put('zero', '0\n');
  assert.equal(readControlNumber(home, 'zero', 5), 0);
});

test('readControlLineOr() takes the file, else me, else the word', () => {
  put('defaulthost', 'file.example\n');
  const me = bytesOf('me.example');
  assert.equal(textOf(readControlLineOr(home, 'defaulthost', me)), 'file.example');
  assert.equal(textOf(readControlLineOr(home, 'idhost', me)), 'me.example');
  assert.equal(textOf(readControlLineOr(home, 'idhost', undefined)), 'idhost');
  assert.equal(textOf(readControlLineOr(home, 'idhost', undefined, 'word')), 'word');
});

test('a file that is there and cannot be read is an error that names it, never a default', () => {
  mkdirSync(join(home, 'control/me'));
  put('file', '');
  const attempts = [
    () => readControlLine(home, 'me'),
    () => readControlList(home, 'me'),
    () => readControlNumber(home, 'me', 1),
    () => readControlLineOr(home, 'me', bytesOf('x')),
    () => readControlLine(join(home, 'control/file'), 'me'),
  ];
  for (const attempt of attempts)
    assert.throws(
      attempt,
      (error) => error instanceof SystemError && /^Cannot read .*\/me: E/.test(error.message),
    );
});

test('readFileIfPresent() takes a path of any bytes', () => {
  const path = Buffer.concat([Buffer.from(`${home}/`), Buffer.of(0xff, 0x61)]);
  writeFileSync(path, 'x');
  assert.equal(textOf(readFileIfPresent(path)!), 'x');
});
