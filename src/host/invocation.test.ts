import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { canEnter, ownProgramAt, readInvocation } from './invocation.ts';

const savedArgv = process.argv;
const savedHome = process.env['QMAILHOME'];
let folder: string;
let bin: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'invocation-')));
  bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['sendmail', 'qmail-qmqpc']) writeFileSync(join(bin, name), '');
  symlinkSync('qmail-qmqpc', join(bin, 'qmail-queue'));
  delete process.env['QMAILHOME'];
});

afterEach(() => rmSync(folder, { recursive: true }));

after(() => {
  process.argv = savedArgv;
  if (savedHome === undefined) delete process.env['QMAILHOME'];
  else process.env['QMAILHOME'] = savedHome;
});

function called(path: string, ...args: string[]) {
  process.argv = ['node', 'bundle', path, ...args];
  return readInvocation();
}

test('readInvocation() takes name and path as called, the folder of the launcher through links', () => {
  const link = join(folder, 'mailq');
  symlinkSync('bin/sendmail', link);
  const { path, calledAs, args, ownBin } = called(link, '-t', 'a b');
  assert.deepEqual(
    { path, calledAs, args, ownBin },
    { path: link, calledAs: 'mailq', args: ['-t', 'a b'], ownBin: bin },
  );
});

test('readInvocation() finds the home: $QMAILHOME, else above bin with a control, else /var/qmail', () => {
  const path = join(bin, 'sendmail');
  assert.equal(called(path).home, '/var/qmail');
  mkdirSync(join(folder, 'control'));
  assert.equal(called(path).home, folder);
  process.env['QMAILHOME'] = '';
  assert.equal(called(path).home, folder);
  process.env['QMAILHOME'] = '/somewhere/else';
  assert.equal(called(path).home, '/somewhere/else');
});

test('readInvocation() gets along with a launcher that is gone', () => {
  assert.equal(called(join(folder, 'nothing/sendmail')).ownBin, join(folder, 'nothing'));
});

test('ownProgramAt() names our own program behind links, and nobody else’s', () => {
  const home = join(folder, 'home');
  mkdirSync(join(home, 'bin'), { recursive: true });
  symlinkSync(join(bin, 'qmail-queue'), join(home, 'bin/qmail-queue'));
  writeFileSync(join(home, 'bin/qmail-inject'), '');
  assert.equal(ownProgramAt(join(home, 'bin/qmail-queue'), bin), 'qmail-qmqpc');
  assert.equal(ownProgramAt(join(home, 'bin/qmail-inject'), bin), undefined);
  assert.equal(ownProgramAt(join(home, 'bin/sendmail'), bin), undefined);
});

test('ownProgramAt() takes what stands beside the running program for a home without bin', () => {
  assert.equal(ownProgramAt(join(folder, 'home/bin/qmail-queue'), bin), 'qmail-qmqpc');
  assert.equal(ownProgramAt(join(folder, 'home/bin/qmail-inject'), bin), undefined);
});

test('canEnter() tells a folder from a file and from nothing', () => {
  assert.equal(canEnter(folder), true);
  assert.equal(canEnter(join(bin, 'sendmail')), false);
  assert.equal(canEnter(join(folder, 'nothing')), false);
});
