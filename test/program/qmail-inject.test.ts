// qmail-inject as a process, against what the original does: test/vectors/qmail-inject.json, and some cases of our own.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ClientCase, checkCase, programUnderTest, readClientCases } from '../support/client-vectors.ts';

describe('qmail-inject does what the original does', { concurrency: 2 }, () => {
  for (const vector of readClientCases('qmail-inject')) {
    it(`${vector.id} ${vector.title}`, () => checkCase(vector));
  }
});

const NOTHING_QUEUED = { stdout: '', queue_run: 0, fd0: null, fd1: null };

const CASES: ClientCase[] = [
  {
    id: 'own-01',
    title: 'bytes that are not UTF-8 in arguments and environment',
    program: 'qmail-inject',
    args: ['-n', '-f', { b64: 'avxAeC55' }],
    env: { USER: 'joe', NAME: { b64: 'SvxyZw==' }, QMAILIDHOST: { b64: '/w==' } },
    stdin: 'To: a@b.c\n',
    expect: {
      exit: 0,
      stdout: {
        parts: [
          ['Return-Path: <"j\xfc"@x.y>\nDate: {{DATE}}\nMessage-ID: <{{STAMP}}.{{PID}}.qmail@\xff>\n', 1],
          ['From: "J\xfcrg" <joe@defaulthost.defaultdomain>\nTo: a@b.c\n', 1],
        ],
      },
      stderr: '',
      queue_run: 0,
    },
  },
  {
    id: 'own-02',
    title: 'an unreadable list file is found before a missing home',
    program: 'qmail-inject',
    env: { QMAILMFTFILE: '{{CWD}}' },
    home_missing: true,
    expect: { exit: 111, stderr: 'qmail-inject: fatal: read error\n', ...NOTHING_QUEUED },
  },
  {
    id: 'own-03',
    title: 'an unreadable control file is found before an illegal option, and in spite of its override',
    program: 'qmail-inject',
    args: ['-z'],
    env: { QMAILPLUSDOMAIN: 'x.y' },
    control: { plusdomain: { dir: true } },
    expect: { exit: 111, stderr: 'qmail-inject: fatal: read error\n', ...NOTHING_QUEUED },
  },
  {
    id: 'own-04',
    title: 'options count in order: a bad sender before an illegal letter, that before a bad recipient',
    program: 'qmail-inject',
    args: ['-f', 'a@)', '-z', 'b@)'],
    env: {},
    expect: { exit: 100, stderr: 'qmail-inject: fatal: unable to parse this line:\na@)', ...NOTHING_QUEUED },
  },
  {
    id: 'own-05',
    title: 'an illegal option is told under the name of the call',
    program: 'qmail-inject',
    args: ['-nz', 'b@)'],
    env: {},
    invoke_as: 'enqueue',
    expect: { exit: 100, stderr: 'enqueue: illegal option -- z\n', ...NOTHING_QUEUED },
  },
  {
    id: 'own-06',
    title: 'a message with a header and a body of many chunks',
    program: 'qmail-inject',
    env: { USER: 'joe' },
    stdin: {
      parts: [
        ['X-A: ', 1],
        ['x'.repeat(1000), 300],
        ['\n\n', 1],
        ['line\r\n\0', 50000],
        ['end', 1],
      ],
    },
    expect: {
      exit: 0,
      stdout: '',
      stderr: '',
      queue_run: 1,
      fd0: {
        parts: [
          ['Date: {{DATE}}\nMessage-ID: <{{STAMP}}.{{PID}}.qmail@idhost>\n', 1],
          ['From: joe@defaulthost.defaultdomain\nCc: recipient list not shown: ;\nX-A: ', 1],
          ['x'.repeat(1000), 300],
          ['\n\n', 1],
          ['line\r\n\0', 50000],
          ['end\n', 1],
        ],
      },
      fd1: 'Fjoe@defaulthost.defaultdomain\0\0',
    },
  },
];

for (const vector of CASES) it(`qmail-inject: ${vector.title}`, () => checkCase(vector));

it('qmail-inject -n fails when its output cannot be written', () => {
  const home = mkdtempSync(join(tmpdir(), 'inject-home-'));
  const result = spawnSync('/bin/sh', ['-c', 'exec "$0" -n >/dev/full', programUnderTest('qmail-inject')], {
    input: 'To: a@b.c\n',
    env: { QMAILHOME: home },
  });
  rmSync(home, { recursive: true });
  assert.equal(result.stderr.toString(), 'qmail-inject: fatal: write error\n');
  assert.equal(result.status, 111);
});
