// qmail-local with input that is meant to do harm and a system that fails: mail is kept, delivered exactly once and as it is, or
// returned with the reason; nothing of an address is ever run or looked up elsewhere.

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import {
  homeOf,
  type LocalCase,
  type LocalRun,
  type LocalStart,
  normalRun,
  prepareLocalCase,
  runLocalCase,
} from '../support/local-delivery.ts';
import { compareQueueRuns, type QueueRun } from '../support/server-vectors.ts';

const MESSAGE = 'Subject: s\n\nbody\n';
const NO_MAILDIR = { Maildir: '0700', 'Maildir/tmp': '0700', 'Maildir/new': '0700', 'Maildir/cur': '0700' };

interface Wish {
  /** Content of files in the home; `.qmail` and the like. */
  readonly files?: { readonly [name: string]: string };
  readonly dirs?: { readonly [name: string]: string };
  readonly ext?: string;
  readonly options?: readonly string[];
  readonly sender?: string;
  readonly domain?: string;
  readonly message?: string;
  readonly queue?: LocalCase['queue_behaviour'];
  readonly env?: { readonly [name: string]: string };
}

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A delivery to joe, or to joe-EXT. */
function prepare(wish: Wish): { folder: string; delivery: LocalCase } {
  const { files = {}, dirs = {}, ext, sender = 's@y.example', domain = 'x.example' } = wish;
  const address = ext === undefined ? ['joe', '', ''] : [`joe-${ext}`, '-', ext];
  const named = Object.entries(files).map(([name, content]) => [name, { content, mode: '0644' }]);
  const delivery = {
    name: 'own',
    args: [...(wish.options ?? []), '--', 'joe', '@HOME@', ...address, domain, sender, './Mailbox'],
    env: wish.env ?? {},
    home: { mode: '0755', files: Object.fromEntries(named), dirs },
    stdin: wish.message ?? MESSAGE,
    stdin_kind: 'file',
    queue_behaviour: wish.queue ?? {},
  } as const;
  const folder = prepareLocalCase(delivery);
  folders.push(folder);
  return { folder, delivery };
}

/** Delivers and compares; what is not wanted is that of a success that leaves nothing behind. */
async function deliver(
  wish: Wish,
  wanted: Partial<LocalRun> & { queue?: readonly QueueRun[] },
  start: LocalStart & { prepareHome?: (home: string) => void } = {},
): Promise<string> {
  const { folder, delivery } = prepare(wish);
  start.prepareHome?.(homeOf(folder));
  const run = normalRun(folder, await runLocalCase(folder, delivery, start));
  const { queue = [], ...rest } = wanted;
  assert.deepEqual(run, { exit: 0, stdout: '', stderr: '', files: {}, ...rest });
  compareQueueRuns(folder, queue);
  return folder;
}

const mboxOf = (address: string, sender = 's@y.example', quoted = sender) =>
  `From ${sender} @CTIME@\nReturn-Path: <${quoted}>\nDelivered-To: ${address}\n${MESSAGE}\n`;

/** An instruction that writes variables to a file, each in brackets. */
const show = (...names: string[]) => `|printf '[%s]' ${names.map((name) => `"$${name}"`).join(' ')} >out\n`;

const HOSTILE = [
  ...[
    '../../../../etc/passwd',
    '$(touch gone)',
    '`touch gone`',
    '-rf',
    '|touch gone',
    ';touch gone;',
    '/etc/passwd',
  ],
  ...[
    "a'b",
    'a"b',
    'a\\b',
    'a\nb',
    'a\r\nb',
    '%s%n',
    'j\xf6rg',
    '\xff\xfe',
    'j\xc3\xb6',
    '\x01\x7f',
    '* *',
    '_',
  ],
];

describe('hostile addresses', { concurrency: 2 }, () => {
  for (const text of HOSTILE) {
    it(`${JSON.stringify(text)} reach a program as they are, and nothing else`, async () => {
      const ext = `x-${text}`;
      const sender = `${text}@y`;
      const deliveredTo = `joe-${ext}`.replaceAll('\n', '_');
      await deliver(
        { files: { '.qmail-default': show('EXT', 'EXT2', 'DEFAULT', 'SENDER', 'DTLINE') }, ext, sender },
        {
          stdout: 'did 0+0+1\n',
          files: {
            out: `[${ext}][${afterDash(ext)}][${ext}][${sender}][Delivered-To: ${deliveredTo}@x.example\n]`,
          },
        },
      );
    });
  }

  it('are forwarded, and forwarded to, as they are', async () => {
    const address = ' $(x) "j\xf6rg|\xff\r';
    await deliver(
      { files: { '.qmail': `&${address}@z\r\n` }, sender: `${address}@y` },
      {
        stdout: 'did 0+1+0\nqp @QP@\n',
        queue: [
          {
            complete: true,
            message: `Delivered-To: joe@x.example\n${MESSAGE}`,
            sender: `${address}@y`,
            recipients: [`${address}@z\r`],
          },
        ],
      },
    );
  });

  it('do not break lines of a mailbox', async () => {
    await deliver(
      { ext: undefined as never, sender: 'a\nFrom b@c', domain: 'x\nSubject: no' },
      {
        stdout: 'did 1+0+0\n',
        files: { Mailbox: mboxOf('joe@x_Subject: no', 'a-From-b@c', '"a\\_From b"@c') },
      },
    );
  });
});

function afterDash(text: string): string {
  return text.slice(text.indexOf('-') + 1);
}

describe('programs', { concurrency: 2 }, () => {
  it('have a command of any bytes', async () => {
    await deliver(
      { files: { '.qmail': "|printf '%s' 'j\xf6rg %s \\ \xc3\xb6 $x' >out\n" } },
      { stdout: 'did 0+0+1\n', files: { out: 'j\xf6rg %s \\ \xc3\xb6 $x' } },
    );
  });

  it('get what an ezmlm-like list needs', async () => {
    const lines = [
      '|[ "$SENDER $NEWSENDER" = "s@y.example joe-list-owner-@a.b.c.d-@[]" ] || exit 100',
      '|[ "$RECIPIENT $USER $LOCAL" = "joe-list@a.b.c.d joe joe-list" ] || exit 100',
      '|[ "$HOST $HOST2 $HOST3 $HOST4" = "a.b.c.d a.b.c a.b a" ] || exit 100',
      '|[ "$EXT.$EXT2.$DEFAULT" = "list..unset" ] || exit 100',
      '|[ "$HOME" = "$(pwd)" ] && [ "$(umask)" = 0077 ] || exit 100',
      '|{ printf %s "$UFLINE$RPLINE$DTLINE"; cat; } >out',
      '|exit 99',
      '|echo never >out',
    ];
    await deliver(
      {
        files: { '.qmail-list': lines.join('\n'), '.qmail-list-owner': '', '.qmail-list-owner-default': '' },
        ext: 'list',
        domain: 'a.b.c.d',
        env: { DEFAULT: 'unset' },
      },
      {
        stdout: 'did 0+0+7\n',
        files: { out: mboxOf('joe-list@a.b.c.d').slice(0, -1) },
      },
    );
  });

  it('may print megabytes', async () => {
    const { folder, delivery } = prepare({ files: { '.qmail': '|head -c 3000000 /dev/zero\n' } });
    const { exit, stdout } = await runLocalCase(folder, delivery);
    assert.deepEqual([exit, stdout.length], [0, 3_000_000 + 'did 0+0+1\n'.length]);
  });

  it('that are killed are tried again', async () => {
    for (const signal of ['KILL', 'PIPE', 'SEGV']) {
      await deliver(
        { files: { '.qmail': `|kill -${signal} $$\n./Mailbox\n` } },
        { exit: 111, stderr: 'Aack, child crashed. (#4.3.0)\n' },
      );
    }
  });

  it('that leave others behind do not disturb later ones', async () => {
    const lines = [
      '|mkfifo go done; exec 3<&0; { cat go; cat <&3 >late; echo >done; } >/dev/null 2>&1 & head -c 3 >/dev/null',
      '|cat >now; echo >go; timeout 20 cat done >/dev/null',
    ];
    await deliver(
      { files: { '.qmail': lines.join('\n') } },
      { stdout: 'did 0+0+2\n', files: { now: MESSAGE, late: MESSAGE.slice(3) } },
    );
  });

  it('of our own work with bytes that are not text', async () => {
    const bin = join(ROOT, 'bin');
    await deliver(
      {
        files: { '.qmail-default': '|preline cat >out\n|forward "$DEFAULT@z"\n' },
        ext: 'j\xf6rg',
        sender: '\xff@y',
        env: { PATH: `${bin}:/usr/bin:/bin` },
      },
      {
        stdout: 'did 0+0+2\n',
        stderr: 'forward: qp @QP@\n',
        files: { out: mboxOf('joe-j\xf6rg@x.example', '\xff@y', '"\xff"@y').slice(0, -1) },
        queue: [
          {
            complete: true,
            message: `Delivered-To: joe-j\xf6rg@x.example\n${MESSAGE}`,
            sender: '\xff@y',
            recipients: ['j\xf6rg@z'],
          },
        ],
      },
    );
  });
});

describe('dot-qmail files', { concurrency: 2 }, () => {
  it('that are folders do not count', async () => {
    await deliver(
      { dirs: { '.qmail': '0755' } },
      { stdout: 'did 1+0+0\n', files: { Mailbox: mboxOf('joe@x.example') } },
    );
  });

  it('that are pipes do not make mail wait', async () => {
    await deliver(
      { files: { '.qmail-default': './Mailbox\n' }, ext: 'x' },
      { stdout: 'did 1+0+0\n', files: { Mailbox: mboxOf('joe-x@x.example') } },
      { setup: 'mkfifo user/.qmail-x' },
    );
  });

  it('that everybody may write to are not trusted, of a group they are', async () => {
    await deliver(
      { files: { '.qmail': '|touch gone\n' } },
      { exit: 111, stderr: 'Uh-oh: .qmail file is writable. (#4.7.0)\n' },
      { prepareHome: (home) => chmodSync(join(home, '.qmail'), 0o646) },
    );
    await deliver(
      { files: { '.qmail': '#\n' } },
      { stdout: 'did 0+0+0\n' },
      { prepareHome: (home) => chmodSync(join(home, '.qmail'), 0o664) },
    );
  });

  it('that are being edited make mail wait', async () => {
    const prepareHome = (home: string) => chmodSync(home, 0o1755);
    const stderr = 'Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n';
    await deliver({}, { exit: 111, stderr }, { prepareHome });
    await deliver(
      { options: ['-n'] },
      { stdout: 'mbox ./Mailbox\ndid 1+0+0\n', stderr: 'Warning: home directory is sticky.\n' },
      { prepareHome },
    );
  });

  it('that are enormous make mail wait', async () => {
    await deliver(
      { files: { '.qmail': '#\n' } },
      { exit: 111, stderr: 'Unable to read .qmail: more than 64 MB. (#4.3.0)\n' },
      { prepareHome: (home) => truncateSync(join(home, '.qmail'), 65 << 20) },
    );
  });

  it('of a hundred thousand addresses are forwarded to, in one message', async () => {
    const addresses = Array.from({ length: 100_000 }, (_, i) => `a${i}@z`);
    await deliver(
      { files: { '.qmail': addresses.join('\n') } },
      {
        stdout: 'did 0+100000+0\nqp @QP@\n',
        queue: [
          {
            complete: true,
            message: `Delivered-To: joe@x.example\n${MESSAGE}`,
            sender: 's@y.example',
            recipients: addresses,
          },
        ],
      },
    );
  });
});

const NOBODY = process.getuid?.() === 0 ? 'setpriv --reuid=65534 --regid=65534 --clear-groups' : '';
/** The user gets all there is; a message that nobody may open any more is open already. */
const GIVE = NOBODY === '' ? '' : 'chown -R 65534:65534 .;';

describe('what a user may not read', { concurrency: 2 }, () => {
  it('is a dot-qmail file: mail waits', async () => {
    await deliver(
      { files: { '.qmail': '#\n', '.qmaildefault': '|touch gone\n' } },
      { exit: 111, stderr: 'Unable to open .qmail: access denied. (#4.3.0)\n' },
      { setup: `${GIVE} chmod 0 user/.qmail`, prefix: NOBODY },
    );
  });

  it('is the file with the message, which is open already: each program gets a copy', async () => {
    const folder = await deliver(
      { files: { '.qmail': '|head -c 3 >/dev/null\n|cat >out\n' }, env: { TMPDIR: '.' } },
      { stdout: 'did 0+0+2\n', files: { out: MESSAGE } },
      { setup: `${GIVE} chmod 0 client`, prefix: NOBODY },
    );
    assert.deepEqual(
      readdirSync(homeOf(folder)).filter((name) => name.startsWith('qmail-local')),
      [],
    );
  });
});

describe('faults of the system', { concurrency: 2 }, () => {
  it('a full disk: mail waits, what came before stays', async () => {
    await deliver(
      { files: { '.qmail': './before\n/dev/full\n&a@x\n' } },
      {
        exit: 111,
        stderr: 'Unable to write /dev/full: out of disk space. (#4.3.0)\n',
        files: { before: mboxOf('joe@x.example') },
      },
    );
  });

  it('a mailbox that must not grow any more keeps its old content', async () => {
    await deliver(
      { files: { Mailbox: 'From old\n\n' }, message: 'x'.repeat(200_000) },
      { exit: 111, stderr: 'Unable to write ./Mailbox: file too big. (#4.3.0)\n' },
      { setup: 'ulimit -f 200' },
    );
  });

  it('a Maildir that cannot take the message has nothing of it', async () => {
    const folder = await deliver(
      { files: { '.qmail': './Maildir/\n' }, dirs: NO_MAILDIR, message: 'x'.repeat(200_000) },
      { exit: 111, stderr: 'Temporary error on maildir delivery. (#4.3.0)\n' },
      { setup: 'ulimit -f 200' },
    );
    for (const part of ['tmp', 'new', 'cur'])
      assert.deepEqual(readdirSync(join(homeOf(folder), 'Maildir', part)), []);
  });

  it('an option that there is not ends it for good', async () => {
    const usage = 'qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty';
    await deliver(
      { options: ['-nx'] },
      { exit: 100, stderr: `qmail-local: illegal option -- x\nqmail-local: usage: ${usage}\n` },
    );
  });

  it('a closed input is no empty message', async () => {
    await deliver(
      { files: { '.qmail': '&a@x\n' } },
      { exit: 111, stderr: 'Unable to rewind message. (#4.3.0)\n' },
      { setup: 'exec <&-' },
    );
  });

  it('an input that is a folder is no empty message', async () => {
    await deliver(
      { files: { '.qmail': '&a@x\n' } },
      { exit: 111, stderr: 'Unable to read message: is a directory. (#4.3.0)\n' },
      { setup: 'exec <user' },
    );
  });

  it('whoever locks mbox files dies: mail waits', async () => {
    await deliver(
      { files: { flock: '#!/bin/sh\nkill -9 $$\n' }, env: { PATH: '.:/usr/bin:/bin' } },
      { exit: 111, stderr: 'Unable to run flock: unknown error. (#4.3.0)\n', files: { Mailbox: '' } },
      { prepareHome: (home) => chmodSync(join(home, 'flock'), 0o755) },
    );
  });

  it('a file system without locks is written to all the same', async () => {
    await deliver(
      { files: { flock: '#!/bin/sh\nexit 71\n' }, env: { PATH: '.:/usr/bin:/bin' } },
      { stdout: 'did 1+0+0\n', files: { Mailbox: mboxOf('joe@x.example') } },
      { prepareHome: (home) => chmodSync(join(home, 'flock'), 0o755) },
    );
  });

  it('a queue program that dies or cannot be started puts mail off', async () => {
    const complete = {
      complete: true,
      message: `Delivered-To: joe@x.example\n${MESSAGE}`,
      sender: 's@y.example',
    };
    await deliver(
      { files: { '.qmail': '&a@x\n' }, queue: { signal: 9 } },
      {
        exit: 111,
        stderr: 'Unable to forward message: qq crashed (#4.3.0).\n',
        queue: [{ ...complete, recipients: ['a@x'] }],
      },
    );
    await deliver(
      { files: { '.qmail': '&a@x\n' }, queue: { program_missing: true } },
      { exit: 111, stderr: 'Unable to forward message: unable to exec qq (#4.3.0).\n' },
    );
  });
});

describe('mailboxes', { concurrency: 2 }, () => {
  it('may be the same Maildir twice', async () => {
    const { folder, delivery } = prepare({
      files: { '.qmail': './Maildir/\n././Maildir/\n' },
      dirs: NO_MAILDIR,
    });
    const run = await runLocalCase(folder, delivery);
    assert.deepEqual([run.exit, run.stdout, run.stderr], [0, 'did 2+0+0\n', '']);
    const copy = `Return-Path: <s@y.example>\nDelivered-To: joe@x.example\n${MESSAGE}`;
    assert.deepEqual(Object.values(run.files), [copy, copy]);
    assert.equal(Object.keys(run.files).filter((name) => /^Maildir\/new\/\d+\.\d+_2\./.test(name)).length, 1);
    assert.deepEqual(readdirSync(join(homeOf(folder), 'Maildir/tmp')), []);
  });

  it("are their owner's alone", async () => {
    const folder = await deliver(
      { files: { '.qmail': './Maildir/\n./Mailbox\n' }, dirs: NO_MAILDIR },
      {
        stdout: 'did 2+0+0\n',
        files: {
          'Maildir/new/@TIME@.@PID@.@HOSTNAME@': `Return-Path: <s@y.example>\nDelivered-To: joe@x.example\n${MESSAGE}`,
          Mailbox: mboxOf('joe@x.example'),
        },
      },
    );
    const [name] = readdirSync(join(homeOf(folder), 'Maildir/new'));
    for (const path of [`Maildir/new/${name}`, 'Mailbox']) {
      assert.equal(statSync(join(homeOf(folder), path)).mode & 0o777, 0o600);
    }
  });

  it('take ten messages at a time without mixing them', async () => {
    const { folder, delivery } = prepare({ message: `${'y'.repeat(100_000)}\n` });
    const runs = await Promise.all(Array.from({ length: 10 }, () => runLocalCase(folder, delivery)));
    assert.deepEqual(new Set(runs.map(({ exit }) => exit)), new Set([0]));
    const files = { Mailbox: readFileSync(join(homeOf(folder), 'Mailbox'), 'latin1') };
    const whole = normalRun(folder, { exit: 0, stdout: '', stderr: '', files }).files['Mailbox'];
    const one = mboxOf('joe@x.example').replace(MESSAGE, delivery.stdin);
    assert.ok(whole === one.repeat(10));
  });
});
