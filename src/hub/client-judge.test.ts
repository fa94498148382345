import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { compileRules } from '../../test/support/compile-rules.ts';
import { judgeByList, judgeByRules } from './client-judge.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'client-judge-'));
  path = join(folder, 'qmqp.cdb');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Puts rules in place as tcprules does. */
function writeRules(rules: string): void {
  const compiled = compileRules(rules);
  assert.ok('cdb' in compiled);
  writeFileSync(`${path}.tmp`, compiled.cdb);
  renameSync(`${path}.tmp`, path);
}

const ALLOWED = { allow: true, databytes: undefined };
const denied = () => ({ allow: false, reason: `denied by ${path}` });

test('judgeByRules() does what the first rule for an address says, and lets in whom none is for', () => {
  writeRules('10.1.:allow\n10.:deny\n192.0.2.7:allow\n[2001:db8::]/32:allow\n192.0.2.:deny\n');
  const judge = judgeByRules(path);
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8::1', '198.51.100.1', '::1'])
    assert.deepEqual(judge(address), ALLOWED, address);
  for (const address of ['10.2.2.3', '::ffff:10.2.2.3', '192.0.2.8'])
    assert.deepEqual(judge(address), denied(), address);
});

test('judgeByRules() denies this host too where a rule does', () => {
  writeRules('192.0.2.7:allow\n:deny\n');
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '2001:db8::1', 'junk'])
    assert.deepEqual(judgeByRules(path)(address), denied(), address);
});

test('judgeByRules() takes the size of messages from the last DATABYTES of a rule', () => {
  writeRules(
    '1.:allow,DATABYTES="5",A="1",DATABYTES="7x"\n2.:allow,DATABYTES="0"\n3.:allow,DATABYTES="x"\n4.:allow,DATABYTE="5"\n',
  );
  const judge = judgeByRules(path);
  const sizes = ['1.1.1.1', '2.1.1.1', '3.1.1.1', '4.1.1.1'].map((address) => judge(address));
  assert.deepEqual(
    sizes,
    [7, 0, 0, undefined].map((databytes) => ({ allow: true, databytes })),
  );
});

test('judgeByRules() notices that the file was replaced, is gone, and is there again', () => {
  writeRules(':deny\n');
  const judge = judgeByRules(path);
  assert.deepEqual(judge('192.0.2.7'), denied());
  writeRules('192.0.2.7:allow\n:deny\n');
  assert.deepEqual(judge('192.0.2.7'), ALLOWED);
  rmSync(path);
  const reason = `Cannot read ${path}: ENOENT: no such file or directory, open '${path}'`;
  assert.deepEqual(judge('192.0.2.7'), { allow: false, reason });
  writeRules('192.0.2.7:allow\n');
  assert.deepEqual(judge('192.0.2.7'), ALLOWED);
});

for (const [name, make] of [
  ['is cut off', () => writeFileSync(path, 'short')],
  ['is empty', () => writeFileSync(path, '')],
  ['is a folder', () => mkdirSync(path)],
] as const) {
  test(`judgeByRules() lets nobody in when the file ${name}`, () => {
    make();
    const verdict = judgeByRules(path)('127.0.0.1');
    assert.ok(!verdict.allow && verdict.reason.startsWith(`Cannot read ${path}: `), JSON.stringify(verdict));
  });
}

test('judgeByList() asks the list once for each address, and does not remember without end', () => {
  const asked: string[] = [];
  const judge = judgeByList((address) => asked.push(address) > 0 && address === 'a');
  for (const address of ['a', 'b', 'a', 'b']) assert.equal(judge(address).allow, address === 'a');
  assert.deepEqual([asked, judge('b')], [['a', 'b'], { allow: false, reason: 'not in control/qmqpclients' }]);
  for (let i = 0; i < 10_000; i++) judge(`c${i}`);
  judge('a');
  assert.equal(asked.at(-1), 'a');
});
