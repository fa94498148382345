// The command line of mini-qmail: what it says, and its exit codes. What its commands do is tested in test/hub.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: '/usr/bin:/bin', NO_COLOR: '1' };
  return spawnSync(join(ROOT, 'bin/mini-qmail'), args, { encoding: 'utf8', env });
}

const WRONG: readonly { args: string[]; exit: number; stderr: RegExp }[] = [
  { args: [], exit: 100, stderr: /^mini-qmail: fatal: No command/ },
  { args: ['nonsense'], exit: 100, stderr: /^mini-qmail: fatal: Unknown command .*nonsense.*--help\n$/ },
  { args: ['queue'], exit: 100, stderr: /^mini-qmail: fatal: No command/ },
  { args: ['hub', '--qmpq', 'x'], exit: 100, stderr: /^mini-qmail: fatal: Unknown option --qmpq; see/ },
  { args: ['hub', '--home'], exit: 100, stderr: /^mini-qmail: fatal: Missing value for --home; see/ },
  { args: ['demo', 'extra'], exit: 100, stderr: /^mini-qmail: fatal: Unexpected word extra; see/ },
  { args: ['queue', 'ls', '--home', '/dev/null'], exit: 111, stderr: /^mini-qmail queue ls: fatal: Cannot / },
  { args: ['hub', '--home', '/dev/null'], exit: 111, stderr: /^mini-qmail hub: fatal: Cannot / },
  { args: ['start', '--home', '/dev/null/x'], exit: 111, stderr: /^mini-qmail: fatal: Cannot prepare / },
];

for (const { args, exit, stderr } of WRONG) {
  test(`mini-qmail ${args.join(' ')} ends with ${exit} and one line`, () => {
    const result = run(...args);
    assert.equal(result.status, exit);
    assert.equal(result.stdout, '');
    assert.match(result.stderr, stderr);
    assert.equal(result.stderr.split('\n').length, 2);
  });
}

test('mini-qmail --help names every command, mini-qmail --version the version of the package', () => {
  const help = run('--help');
  assert.equal(help.status, 0);
  for (const command of ['hub', 'queue', 'start', 'demo', 'install', 'uninstall'])
    assert.match(help.stdout, new RegExp(`\\b${command}\\b`));
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const { status, stdout } = run('--version');
  assert.deepEqual({ status, stdout }, { status: 0, stdout: `${version}\n` });
});
