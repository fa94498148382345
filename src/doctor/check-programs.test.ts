import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { checkPrograms } from './check-programs.ts';
import type { Installation } from './installation.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'doctor-programs-')));
after(() => rmSync(folder, { recursive: true }));
let home = '';
let count = 0;
beforeEach(() => {
  home = join(folder, String(++count));
  mkdirSync(join(home, 'bin'), { recursive: true });
});

function program(path: string, first = `#!${process.execPath}`): void {
  writeFileSync(path, `${first}\n`);
  chmodSync(path, 0o755);
}

/** A list host needs one program, so that the others are not in the way. */
function look(change: Partial<Installation> = {}, ...systemPaths: string[]): string[] {
  const installation = {
    home,
    ownBin: `${home}/bin`,
    roles: ['list'],
    hasQueue: false,
    isRecorded: true,
    env: {},
  } as const;
  return checkPrograms({ ...installation, ...change }, systemPaths)
    .filter(({ state }) => state !== 'ok')
    .map(({ state, subject, seen }) => `${state} ${subject.replace(`${home}/`, '')} ${seen}`);
}

test('checkPrograms() tells a program that is missing, leads nowhere, or cannot start', () => {
  const path = `${home}/bin/qmail-qmqpc`;
  assert.deepEqual(look(), ['error bin/qmail-qmqpc is missing']);
  symlinkSync('gone', path);
  assert.deepEqual(look(), ['error bin/qmail-qmqpc is a link that leads to nothing']);
  rmSync(path);
  program(path, '#!/opt/node/bin/node /opt/bundle.cjs');
  assert.deepEqual(look(), ['error bin/qmail-qmqpc cannot start: /opt/node/bin/node is missing']);
  program(path, `#!${process.execPath} ${home}/bundle.cjs`);
  assert.deepEqual(look(), [`error bin/qmail-qmqpc cannot start: ${home}/bundle.cjs is missing`]);
  program(path);
  assert.deepEqual(look(), []);
});

function lookAtQueueProgram(): string[] {
  return look({ roles: ['client'] }).filter((text) => text.includes('bin/qmail-queue '));
}

test('checkPrograms() misses no program where somebody else has put them together', () => {
  assert.deepEqual(look({ isRecorded: false }), []);
  symlinkSync('gone', `${home}/bin/qmail-qmqpc`);
  assert.deepEqual(look({ isRecorded: false }), ['error bin/qmail-qmqpc is a link that leads to nothing']);
});

test('checkPrograms() tells what the queue program is', () => {
  const path = `${home}/bin/qmail-queue`;
  program(`${home}/bin/qmail-qmqpc`);
  program(`${home}/bin/hub-queue`);
  assert.match(lookAtQueueProgram()[0]!, /^error .* is missing/);
  symlinkSync('hub-queue', path);
  assert.match(lookAtQueueProgram()[0]!, /^note .* is hub-queue; qmail-qmqpc is usual here/);
  rmSync(path);
  symlinkSync('qmail-qmqpc', path);
  assert.deepEqual(lookAtQueueProgram(), []);
  rmSync(path);
  symlinkSync('/bin/cat', path);
  assert.match(lookAtQueueProgram()[0]!, /^warning .* is not of mini-qmail: .*qmail-queue -> \/bin\/cat/);
});

test('checkPrograms() follows the names of sendmail, step by step', () => {
  program(`${home}/bin/sendmail`);
  const [ours, other, middle, none] = ['ours', 'other', 'middle', 'none'].map((name) => `${home}/${name}`);
  symlinkSync(`${home}/bin/sendmail`, ours!);
  program(`${home}/postfix`);
  symlinkSync(`${home}/postfix`, middle!);
  symlinkSync(middle!, other!);
  const found = look({ roles: ['client'], env: { PATH: '/nonexistent' } }, ours!, other!, none!);
  assert.deepEqual(
    found.filter((text) => !text.includes('bin/')),
    [
      `note other is another mail program: ${other} -> ${middle} -> ${home}/postfix`,
      'note none is missing: programs that call it cannot send mail',
    ],
  );
});

test('checkPrograms() minds a name of sendmail that was ours', () => {
  program(`${home}/bin/sendmail`);
  program(`${home}/system`);
  mkdirSync(`${home}/lib/mini-qmail`, { recursive: true });
  const entry = { path: `${home}/system`, kind: 'link', states: [] };
  const manifest = { format: 1, roles: ['client'], entries: [entry] };
  writeFileSync(`${home}/lib/mini-qmail/install.json`, JSON.stringify(manifest));
  const found = look({ roles: ['client'] }, `${home}/system`).filter((text) => text.includes(' system '));
  assert.match(found[0]!, /^error system is another mail program: .*; it was ours/);
});
