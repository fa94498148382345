// The small programs as processes, against what the originals do: test/vectors/small-programs.json, and cases of our own for
// what no vector shows. What ours does otherwise on purpose is listed in test/vectors/README.md and here.

import { describe, it } from 'node:test';
import {
  type ClientCase,
  type ClientExpectation,
  checkCase,
  readClientCases,
} from '../support/client-vectors.ts';
import type { VectorBytes } from '../support/vector-bytes.ts';

const VECTORS = readClientCases('small-programs');
/** Case to what ours does instead of the original. */
const DIFFERENT: { readonly [id: string]: Partial<ClientExpectation> } = {
  'maildir2mbox-013': {
    files: {
      ...filesOf('maildir2mbox-013'),
      mbox: {
        mode: '0600',
        content: 'From a@b Tue Feb 29 00:00:00 2000\nReturn-Path: <a@b>\n\nfirst\nlast without newline\n\n',
      },
    },
  },
};

function filesOf(id: string): ClientExpectation['files'] & object {
  return VECTORS.find((vector) => vector.id === id)?.expect.files ?? {};
}

describe('the small programs do what the originals do', { concurrency: 2 }, () => {
  for (const vector of VECTORS) {
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

const MAILBOX = { MAIL: '{{CWD}}/mbox', MAILTMP: '{{CWD}}/mbox.tmp', MAILDIR: '{{CWD}}/M' };
const MAILDIR = { 'M/new': { dir: true }, 'M/cur': { dir: true }, 'M/tmp': { dir: true } } as const;
const MAILDIR_AFTER = { M: { dir: true }, ...MAILDIR } as const;

const SHOWN = readShown();

/** The report of a home that has nothing but `me`, with what a few more files change in it. */
function readShown(): string {
  const empty = VECTORS.find(({ id }) => id === 'qmail-showctl-005')?.expect.stdout;
  return String(empty)
    .replaceAll('m.example', 'm.e')
    .replace('(Default.) SMTP DATA limit is 0', 'SMTP DATA limit is 12')
    .replace(
      '(Default.) No rcpthosts; morercpthosts is irrelevant.',
      "\nNo rcpthosts; doesn't matter that morercpthosts has x.",
    )
    .replace('(Default.) No effect.', 'Oops! morercpthosts.cdb is older than morercpthosts.')
    .concat('\n.hidden: I have no idea what this file does.\n');
}

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
  ownCase('says no for a program without a name', 'except', [''], { expect: {} }),
  ownCase('runs no program without a name', 'preline', [''], {
    env: LINES,
    expect: { exit: 100, stderr: 'preline: fatal: unable to run : file does not exist\n' },
  }),
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
  ownCase('makes private folders under any umask', 'maildirmake', [{ b64: 'TfwvLi4vTQ==' }, 'x'], {
    umask: '000',
    files: {},
    expect: {
      exit: 111,
      stderr: {
        b64: 'bWFpbGRpcm1ha2U6IGZhdGFsOiB1bmFibGUgdG8gbWtkaXIgTfwvLi4vTTogZmlsZSBkb2VzIG5vdCBleGlzdAo=',
      },
    },
  }),
  ownCase('gives nothing to others, whatever the umask', 'maildirmake', ['M'], {
    umask: '000',
    expect: {
      files: {
        M: { dir: true, mode: '0700' },
        'M/tmp': { dir: true, mode: '0700' },
        'M/new': { dir: true, mode: '0700' },
        'M/cur': { dir: true, mode: '0700' },
      },
    },
  }),
  ownCase('quotes over the borders of its buffer, and keeps old mail', 'maildir2mbox', [], {
    env: MAILBOX,
    files: {
      ...MAILDIR,
      mbox: 'old\n\n',
      'M/new/a': {
        content: {
          parts: [
            ['x'.repeat(65_530), 1],
            ['\n>From y', 1],
          ],
        },
        mtime: 951_782_400,
      },
    },
    expect: {
      files: {
        ...MAILDIR_AFTER,
        mbox: {
          mode: '0600',
          content: {
            parts: [
              ['old\n\nFrom ', 1],
              ['X', 3],
              [' Tue Feb 29 00:00:00 2000\n', 1],
              ['x'.repeat(65_530), 1],
              ['\n>>From y\n\n', 1],
            ],
          },
        },
      },
    },
  }),
  ownCase('removes what was abandoned in tmp, and no more', 'maildir2mbox', [], {
    env: MAILBOX,
    files: {
      ...MAILDIR,
      'M/tmp/old': { content: 'x', atime: 951_782_400, mtime: 951_782_400 },
      'M/tmp/.old': { content: 'x', atime: 951_782_400, mtime: 951_782_400 },
      'M/tmp/young': 'x',
    },
    expect: { files: { ...MAILDIR_AFTER, 'M/tmp/.old': {}, 'M/tmp/young': {} } },
  }),
  ownCase('locks the file that another reader has put in place of the first', 'maildir2mbox', [], {
    env: { ...MAILBOX, PATH: '{{CWD}}/bin:/usr/bin:/bin' },
    files: {
      ...MAILDIR,
      'M/new/a': { content: 'a\n', mtime: 951_782_400 },
      mbox: 'gone\n\n',
      other: 'here\n\n',
      'bin/flock': {
        content:
          '#!/bin/sh\necho lock >>{{CWD}}/calls\n[ -e {{CWD}}/other ] && mv {{CWD}}/other {{CWD}}/mbox\nexec /usr/bin/flock "$@"\n',
        mode: '0755',
      },
    },
    expect: {
      files: {
        ...MAILDIR_AFTER,
        bin: { dir: true },
        'bin/flock': {},
        calls: { content: 'lock\nlock\n' },
        mbox: {
          content: {
            parts: [
              ['here\n\nFrom ', 1],
              ['X', 3],
              [' Tue Feb 29 00:00:00 2000\na\n\n', 1],
            ],
          },
        },
      },
    },
  }),
  ownCase('keeps everything when MAILTMP cannot be made', 'maildir2mbox', [], {
    env: { ...MAILBOX, MAILTMP: 'none/tmp' },
    files: { ...MAILDIR, 'M/new/a': { content: 'a\n', mtime: 951_782_400 } },
    expect: {
      exit: 111,
      stderr: 'maildir2mbox: fatal: unable to create none/tmp: file does not exist\n',
      files: { ...MAILDIR_AFTER, mbox: { content: '' }, 'M/new/a': { content: 'a\n' } },
    },
  }),
  ownCase('becomes the reader, with its arguments and its exit code', 'qail', ['a b', '-x'], {
    env: { ...MAILBOX, PATH: '/nonexistent:{{CWD}}/bin:/usr/bin:/bin' },
    files: {
      ...MAILDIR,
      'M/new/a': { content: 'a\n', mtime: 951_782_400 },
      'bin/Mail': { content: '#!/bin/sh\ncat {{CWD}}/mbox\necho "$#" "$@"; cat; exit 7\n', mode: '0755' },
    },
    stdin: 'typed',
    expect: {
      exit: 7,
      stdout: {
        parts: [
          ['From ', 1],
          ['X', 3],
          [' Tue Feb 29 00:00:00 2000\na\n\n2 a b -x\ntyped', 1],
        ],
      },
    },
  }),
  ownCase('says that there is no reader', 'elq', [], {
    env: { ...MAILBOX, PATH: '/nonexistent' },
    files: MAILDIR,
    expect: { exit: 111, stderr: 'elq: fatal: unable to run elm: file does not exist\n' },
  }),
  ownCase('stays out of what it cannot scan', 'maildirwatch', [], {
    env: { MAILDIR: '{{CWD}}' },
    expect: {
      exit: 111,
      stderr: 'maildirwatch: fatal: unable to scan $MAILDIR/new: file does not exist\n',
    },
  }),
  ownCase('needs a folder', 'maildirwatch', [], {
    env: { MAILDIR: '{{CWD}}/f' },
    files: { f: '' },
    expect: { exit: 111, stderr: 'maildirwatch: fatal: unable to chdir to {{CWD}}/f: not a directory\n' },
  }),
  ownCase('keeps the folding of a Message-ID, and quotes a sender that needs it', 'qreceipt', ['joe@x.y'], {
    env: { SENDER: 'a b@c' },
    stdin:
      'notice-REQUESTED-upon-delivery-to : (x) "j\\oe"@x.y,\n k\nMESSAGE-id:\n\t<m@i>\n\nbody\nNotice-Requested-Upon-Delivery-To: )\n',
    expect: {
      queue_run: 1,
      fd0: 'From: DELIVERY NOTICE SYSTEM <"a b"@c>\nTo: <"a b"@c>\nSubject: success notice\n\nHi! This is the qreceipt program. Your message was delivered to the\nfollowing address: joe@x.y. Thanks for asking.\nYour MESSAGE-id:\n\t<m@i>\n',
      fd1: 'F\0Ta b@c\0\0',
    },
  }),
  ownCase('tells a refusal of the queue program', 'qreceipt', ['joe@x.y'], {
    env: { SENDER: 's@t' },
    stdin: 'Notice-Requested-Upon-Delivery-To: joe@x.y',
    queue: { exit: 31 },
    expect: { exit: 100, stderr: 'qreceipt: fatal: permanent qmail-queue error\n', queue_run: 1 },
  }),
  ownCase('cannot read a closed standard input', 'qreceipt', ['joe@x.y'], {
    env: { SENDER: 's@t' },
    stdin_closed: true,
    expect: { exit: 111, stderr: 'qreceipt: fatal: read error\n', queue_run: 0 },
  }),
  ownCase('says when the list of hosts was changed after it was compiled', 'qmail-showctl', [], {
    control: {
      me: 'm.e\n',
      morercpthosts: { content: 'x\n', mtime: 1_000_000_001 },
      'morercpthosts.cdb': { content: '', mtime: 1_000_000_000 },
      '.hidden': '',
      databytes: '12x\n',
      queuelifetime: ' 5\n',
    },
    expect: { stdout: { parts: [[SHOWN, 1]] } },
  }),
];

describe('the small programs', { concurrency: 2 }, () => {
  for (const vector of OWN_CASES) it(`${vector.program} ${vector.title}`, () => checkCase(vector));
});
