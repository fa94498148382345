// The small programs as processes, against what the originals do: test/vectors/small-programs.json, and cases of our own for
// what no vector shows. What ours does otherwise on purpose is listed in test/vectors/README.md and here.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PROGRAMS } from '../../scripts/programs.mjs';
import {
  type ClientCase,
  type ClientExpectation,
  checkCase,
  readClientCases,
} from '../support/client-vectors.ts';
import type { VectorBytes } from '../support/vector-bytes.ts';

const VECTORS = readClientCases('small-programs');
/** Case to what ours does instead of the original. */
const DIFFERENT: { readonly [id: string]: Partial<ClientExpectation> } = {};

function isBuilt({ program }: ClientCase): boolean {
  return PROGRAMS.includes(program);
}

describe('the small programs do what the originals do', { concurrency: 2 }, () => {
  for (const vector of VECTORS.filter(isBuilt)) {
    const expect = { ...vector.expect, ...DIFFERENT[vector.id] };
    it(`${vector.id} ${vector.title}`, () => checkCase({ ...vector, expect }));
  }
});

/** What a case of ours has in common with most: a home, and a message on a pipe. */
function ownCase(
  title: string,
  program: string,
  args: readonly VectorBytes[],
  rest: Omit<Partial<ClientCase>, 'expect'> & { readonly expect: Partial<ClientExpectation> },
): ClientCase {
  const expect = { exit: 0, stdout: '', stderr: '', ...rest.expect };
  return {
    id: `own ${program}`,
    title,
    program,
    args,
    control: { me: 'h.example\n' },
    stdin: 'Subject: s\n\nb\n',
    ...rest,
    env: { PATH: '/usr/bin:/bin', ...rest.env },
    expect,
  };
}

const DELIVERY = { SENDER: 'a@b.c', NEWSENDER: 'own@l.example', DTLINE: 'Delivered-To: joe@x.y\n' };

const LINES = { UFLINE: 'U\n', RPLINE: 'R\n', DTLINE: 'D\n' };
const INJECTED = { env: { USER: 'joe' }, control: { me: 'h.x\n' } };
const INJECTED_HEADER = 'Date: {{DATE}}\nMessage-ID: <{{STAMP}}.{{CHILDPID}}.qmail@h.x>\nFrom: joe@h.x\n';

const OWN_CASES: readonly ClientCase[] = [
  ownCase('hands on addresses that are not UTF-8', 'forward', [{ b64: 'YvxAeC55' }], {
    env: DELIVERY,
    expect: {
      stderr: 'forward: qp {{QP}}\n',
      queue_run: 1,
      fd1: { parts: [['Fown@l.example\0Tb\xfc@x.y\0\0', 1]] },
    },
  }),
  ownCase('copies more than a buffer holds', 'forward', ['bob'], {
    env: DELIVERY,
    stdin: { parts: [['0123456789abcdef\n', 20_000]] },
    expect: {
      stderr: 'forward: qp {{QP}}\n',
      queue_run: 1,
      fd0: {
        parts: [
          ['Delivered-To: joe@x.y\n', 1],
          ['0123456789abcdef\n', 20_000],
        ],
      },
    },
  }),
  ownCase('sends through its own QMQP client in one process', 'forward', ['bob'], {
    env: { ...DELIVERY, QMQPSERVERS: '127.0.0.1:1' },
    bin: { 'qmail-queue': '->qmail-qmqpc' },
    expect: {
      exit: 111,
      stderr: 'forward: fatal: connection to mail server rejected (#4.4.1)\n',
      queue_run: 0,
    },
  }),
  ownCase('cannot read a directory', 'forward', ['bob'], {
    env: DELIVERY,
    stdin_dir: true,
    expect: { exit: 111, stderr: 'forward: fatal: unable to read message: is a directory\n', fd1: '' },
  }),
  ownCase('cannot rewind a pipe', 'condredirect', ['new@x.y', 'true'], {
    env: DELIVERY,
    expect: {
      exit: 111,
      stderr: 'condredirect: fatal: unable to rewind: unseekable descriptor\n',
      queue_run: 0,
    },
  }),
  ownCase('refuses to go without a program', 'condredirect', ['new@x.y'], {
    env: DELIVERY,
    expect: {
      exit: 100,
      stderr: 'condredirect: usage: condredirect newaddress program [ arg ... ]\n',
      queue_run: 0,
    },
  }),
  ownCase('takes a crash of the program for temporary', 'condredirect', ['n@x', 'sh', '-c', 'kill -9 $$'], {
    env: DELIVERY,
    expect: { exit: 111, stderr: 'condredirect: fatal: child crashed\n', queue_run: 0 },
  }),
  ownCase('says no for a program that may not be run', 'except', ['/etc/passwd'], { expect: {} }),
  ownCase(
    'bounces if the program says yes, and passes on a text that is not UTF-8',
    'bouncesaying',
    [{ b64: '/A==' }, 'true'],
    {
      expect: { exit: 100, stderr: { b64: '/Ao=' } },
    },
  ),
  ownCase('uses the last option for a line', 'preline', ['-fFdD', '-R', '-r', 'cat'], {
    env: LINES,
    stdin: 'm',
    expect: { stdout: 'U\nD\nm' },
  }),
  ownCase('lets a program ignore a small input', 'preline', ['true'], {
    env: LINES,
    stdin: { parts: [['x', 8000]] },
    expect: {},
  }),
  ownCase('copies more than a pipe holds', 'preline', ['sh', '-c', 'sleep 0.1; cat | wc -c'], {
    env: LINES,
    stdin: { parts: [['x', 400_000]] },
    expect: { stdout: '400006\n' },
  }),
  ownCase('runs nothing on a closed standard input', 'preline', ['sh', '-c', 'cat; echo ran'], {
    env: LINES,
    stdin_closed: true,
    expect: { exit: 111, stderr: 'preline: fatal: unable to copy input: file descriptor not open\n' },
  }),
  ownCase('says what it cannot run', 'predate', ['/etc'], {
    expect: { exit: 111, stderr: 'predate: fatal: unable to run /etc: access denied\n' },
  }),
  ownCase('lets a program ignore its input, and returns its exit code', 'predate', ['false'], {
    stdin: { parts: [['x', 400_000]] },
    expect: { exit: 1 },
  }),
  ownCase('sends nothing when its input cannot be read', 'predate', ['sh', '-c', 'cat; echo ran'], {
    stdin_dir: true,
    expect: { exit: 111, stderr: 'predate: fatal: unable to read input: is a directory\n' },
  }),
  ownCase('knows the zone of a place', 'predate', ['cat'], {
    env: { TZ: ':Asia/Tokyo' },
    stdin: '',
    expect: { stdout: 'Date: {{LOCALDATE}} +0900\n' },
  }),
  ownCase('shows a subject as it is', 'mailsubj', ['a\\nb  c\tBcc: x', 'bob@x.y'], {
    ...INJECTED,
    stdin: 'body',
    expect: { fd0: `${INJECTED_HEADER}Subject: a\\nb  c\tBcc: x\nTo: bob@x.y\n\nbody\n` },
  }),
  ownCase('lets no argument begin a header field', 'mailsubj', ['a\nBcc: c@x.y', 'bob@x.y\nBcc: d@x.y'], {
    ...INJECTED,
    expect: {
      exit: 100,
      stderr: { parts: [['qmail-inject: fatal: unable to parse this line:\nTo: bob@x.y Bcc: d@x.y\n', 1]] },
      queue_run: 0,
    },
  }),
  ownCase('reads no message from a closed standard input', 'mailsubj', ['s', 'bob@x.y'], {
    ...INJECTED,
    stdin_closed: true,
    expect: { exit: 111, stderr: 'mailsubj: fatal: unable to read input: file descriptor not open\n' },
  }),
  ownCase('wants a subject', 'mailsubj', [], {
    expect: { exit: 100, stderr: 'mailsubj: usage: mailsubj subject recip ...\n' },
  }),
];

describe('the small programs', { concurrency: 2 }, () => {
  for (const vector of OWN_CASES) it(`${vector.program} ${vector.title}`, () => checkCase(vector));
});

it('all vectors are of programs that exist, but those listed as left out', () => {
  assert.notEqual(VECTORS.filter(isBuilt).length, 0);
});
