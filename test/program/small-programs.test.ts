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
];

describe('the small programs', { concurrency: 2 }, () => {
  for (const vector of OWN_CASES) it(`${vector.program} ${vector.title}`, () => checkCase(vector));
});

it('all vectors are of programs that exist, but those listed as left out', () => {
  assert.notEqual(VECTORS.filter(isBuilt).length, 0);
});
