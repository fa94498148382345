// qmail-showctl --json as a process. The plain report is compared with the original's in small-programs.test.ts.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CONTROL_ITEMS, READ_BY } from '../../src/client/showctl-items.ts';
import type { ControlReport } from '../../src/client/showctl-json.ts';
import { ROOT } from '../support/client-vectors.ts';

function showctl(control: { [name: string]: string | Buffer | null }, ...args: string[]) {
  const home = mkdtempSync(join(tmpdir(), 'showctl-'));
  try {
    mkdirSync(join(home, 'control'));
    for (const [name, content] of Object.entries(control)) {
      if (content === null) mkdirSync(join(home, 'control', name));
      else writeFileSync(join(home, 'control', name), content);
    }
    const env = { QMAILHOME: home };
    return spawnSync(join(ROOT, 'bin/qmail-showctl'), args, { encoding: 'utf8', env });
  } finally {
    rmSync(home, { recursive: true });
  }
}

function reports(control: { [name: string]: string | Buffer | null }): Map<string, ControlReport> {
  const { status, stdout, stderr } = showctl(control, '--json');
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const list = JSON.parse(stdout) as ControlReport[];
  return new Map(list.map((report) => [String(report.name), report]));
}

test('qmail-showctl --json tells format, state, value, source and readers of each file', () => {
  const found = reports({
    me: 'h.example \n',
    plusdomain: Buffer.from('\xff\n', 'latin1'),
    databytes: '12x\n',
    queuelifetime: 'x\n',
    qmqpservers: '# a\n10.0.0.1 # main\n10.0.0.2 tls\nhub',
    locals: null,
    strange: '',
  });
  const facts = (name: string) => {
    const { readBy, ...rest } = found.get(name)!;
    assert.deepEqual(readBy, READ_BY[name] ?? []);
    return rest;
  };
  assert.deepEqual(facts('me'), { name: 'me', format: 'line', state: 'present', value: 'h.example' });
  assert.deepEqual(facts('idhost'), {
    name: 'idhost',
    format: 'line',
    state: 'default',
    value: 'h.example',
    defaultSource: 'control/me',
  });
  assert.deepEqual(facts('plusdomain').value, { base64: '/w==' });
  assert.deepEqual(facts('databytes'), { name: 'databytes', format: 'number', state: 'present', value: 12 });
  assert.deepEqual(facts('queuelifetime'), {
    name: 'queuelifetime',
    format: 'number',
    state: 'default',
    value: 604800,
    defaultSource: 'built in',
  });
  assert.deepEqual(facts('qmqpservers'), {
    name: 'qmqpservers',
    format: 'list',
    state: 'present',
    values: ['10.0.0.1 # main', '10.0.0.2 tls', 'hub'],
    servers: [
      { server: 'qmqp://10.0.0.1:628', isCommentIgnored: true },
      { server: 'qmqp://10.0.0.2:628 tls' },
      { skipped: 'it is no address of a server' },
    ],
  });
  assert.deepEqual(facts('rcpthosts'), { name: 'rcpthosts', format: 'list', state: 'missing', values: [] });
  assert.deepEqual(facts('morercpthosts.cdb'), {
    name: 'morercpthosts.cdb',
    format: 'cdb',
    state: 'missing',
  });
  assert.deepEqual(facts('locals'), {
    name: 'locals',
    format: 'list',
    state: 'unreadable',
    problem: 'is a directory',
  });
  assert.deepEqual(facts('strange'), { name: 'strange', format: 'unknown', state: 'present' });
  assert.ok(CONTROL_ITEMS.every(({ file }) => (found.get(file)?.readBy.length ?? 0) > 0));
});

test('qmail-showctl --json says that there is no name where me is missing', () => {
  const found = reports({});
  assert.equal(found.get('me')?.state, 'missing');
  assert.equal(found.get('idhost')?.value, 'idhost');
  assert.equal(found.get('idhost')?.defaultSource, 'built in');
});

test('qmail-showctl --json prints nothing but the reason when there is no report', () => {
  const { status, stdout, stderr } = showctl({ me: null }, '--json');
  assert.deepEqual(
    { status, stdout, stderr },
    { status: 111, stdout: '', stderr: 'qmail-showctl: fatal: Trouble reading control/me.\n' },
  );
});

test('qmail-showctl ignores every other argument', () => {
  const plain = showctl({ me: 'h\n' });
  const other = showctl({ me: 'h\n' }, '-json', '--json');
  const withoutHome = (text: string) => text.slice(text.indexOf('\n'));
  assert.equal(withoutHome(other.stdout), withoutHome(plain.stdout));
});
