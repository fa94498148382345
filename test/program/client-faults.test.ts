// What the client's programs do when the system fails them: files without rights, a full disk, a lock that is held, a closed
// standard input, a reader that has gone. Each says so in one line, ends with the temporary code, and loses nothing.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { PROGRAMS } from '../../scripts/programs.mjs';
import { ROOT } from '../support/client-vectors.ts';
import { missingPeers } from '../support/peers.ts';

const PATH = '/usr/local/bin:/usr/bin:/bin';
/** Root may read everything; then programs run as nobody. */
const NOBODY = process.getuid?.() === 0 ? 65534 : undefined;
const MESSAGE = 'Return-Path: <a@b.c>\n\nbody\n';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'client-faults-'));
  chmodSync(folder, 0o777);
});
after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
  mkdirSync(join(folder, 'home/control'), { recursive: true });
  writeFileSync(join(folder, 'home/control/me'), 'h.example\n');
});

interface Run {
  readonly program: string;
  readonly args?: readonly string[];
  readonly env?: { readonly [name: string]: string };
  readonly input?: string;
  /** Redirections of a shell. */
  readonly redirect?: string;
  readonly uid?: number | undefined;
}

const environment = (env: Run['env']) => ({
  PATH,
  QMAILHOME: join(folder, 'home'),
  QMAILQUEUE: '/bin/false',
  USER: 'joe',
  ...env,
});

/** Runs a program to its end: exit code, standard error, standard output. */
function run({
  program,
  args = [],
  env,
  input = MESSAGE,
  redirect = '',
  uid,
}: Run): [number | null, string, string] {
  const words = ['-c', `exec "$@" ${redirect}`, 'sh', join(ROOT, 'bin', program), ...args];
  const { status, stdout, stderr } = spawnSync('/bin/sh', words, {
    cwd: folder,
    encoding: 'utf8',
    env: environment(env),
    input,
    timeout: 20_000,
    ...(uid !== undefined && { uid, gid: uid }),
  });
  return [status, stderr, stdout];
}

/** Makes a Maildir with one message below `at`. */
function makeMaildir(at = folder): string {
  for (const part of ['tmp', 'new', 'cur']) mkdirSync(join(at, 'Maildir', part), { recursive: true });
  writeMessage(join(at, 'Maildir'), MESSAGE);
  return join(at, 'Maildir');
}

/** Writes the message; one that is not older than this second is left for the next time. */
function writeMessage(maildir: string, text: string): void {
  writeFileSync(join(maildir, 'new/1.2.h'), text);
  utimesSync(join(maildir, 'new/1.2.h'), 1_000_000_000, 1_000_000_000);
}

const mailEnv = (at = folder) => ({
  MAILDIR: join(at, 'Maildir'),
  MAIL: join(at, 'mbox'),
  MAILTMP: join(at, 'mbox.new'),
});

describe('a control file that cannot be read', () => {
  const READERS: readonly { program: string; args: string[]; file: string; exit: number; stderr: string }[] =
    [
      {
        program: 'sendmail',
        args: ['a@b.c'],
        file: 'me',
        exit: 111,
        stderr: 'qmail-inject: fatal: read error\n',
      },
      {
        program: 'qmail-inject',
        args: ['a'],
        file: 'plusdomain',
        exit: 111,
        stderr: 'qmail-inject: fatal: read error\n',
      },
      { program: 'qmail-qmqpc', args: [], file: 'qmqpservers', exit: 55, stderr: '' },
    ];
  for (const { program, args, file, exit, stderr } of READERS) {
    it(`keeps ${program} from sending, with the words of the original`, () => {
      const path = join(folder, 'home/control', file);
      writeFileSync(path, '10.0.0.1\n');
      chmodSync(path, 0);
      assert.deepEqual(run({ program, args, uid: NOBODY }), [exit, stderr, '']);
    });
  }

  it('is named by explain and by qmail-showctl', () => {
    chmodSync(join(folder, 'home/control/me'), 0);
    const [exit, , stdout] = run({ program: 'mini-qmail', args: ['explain', 'sendmail', 'a'], uid: NOBODY });
    assert.equal(exit, 111);
    assert.match(stdout, /^note {7}Cannot read .*\/control\/me: EACCES.*; correct its rights/);
    const [code, told] = run({ program: 'qmail-showctl', args: ['--json'], uid: NOBODY });
    assert.deepEqual([code, told], [111, 'qmail-showctl: fatal: Trouble reading control/me.\n']);
  });

  it('that makes no sense is refused for good, a list without a server for now', () => {
    const path = join(folder, 'home/control/defaulthost');
    writeFileSync(path, ')\n');
    const refused = run({ program: 'sendmail', args: ['a@b.c'] });
    assert.deepEqual(refused.slice(0, 2), [100, 'qmail-inject: fatal: unable to parse this line:\n@)']);
    rmSync(path);
    writeFileSync(join(folder, 'home/control/qmqpservers'), 'hub.example\n');
    const queue = { QMAILQUEUE: join(ROOT, 'bin/qmail-qmqpc') };
    const told = 'qmail-inject: fatal: qq unable to read configuration (#4.3.0)\n';
    assert.deepEqual(run({ program: 'sendmail', args: ['a@b.c'], env: queue }), [111, told, '']);
  });
});

describe('a Maildir without rights', () => {
  for (const [program, part, told] of [
    ['maildir2mbox', '', 'unable to chdir to MAILDIR: access denied'],
    ['maildir2mbox', 'new', 'unable to scan $MAILDIR/new: access denied'],
    ['maildir2mbox', 'new/1.2.h', 'unable to read $MAILDIR/new/1.2.h: access denied'],
    ['maildirwatch', '', 'unable to chdir to MAILDIR: access denied'],
    ['maildirwatch', 'new', 'unable to scan $MAILDIR/new: access denied'],
  ] as const) {
    it(`stops ${program} at ${part === '' ? 'the folder' : part}, and nothing is lost`, () => {
      const maildir = makeMaildir();
      if (NOBODY !== undefined)
        for (const name of ['tmp', 'new', 'cur']) chownSync(join(maildir, name), NOBODY, NOBODY);
      const path = join(maildir, part);
      const { mode } = statSync(path);
      chmodSync(path, 0);
      const [exit, stderr, stdout] = run({ program, env: mailEnv(), uid: NOBODY });
      chmodSync(path, mode);
      assert.equal(stderr, `${program}: fatal: ${told.replace('MAILDIR:', `${maildir}:`)}\n`);
      assert.deepEqual([exit, stdout], [111, '']);
      assert.equal(readFileSync(join(maildir, 'new/1.2.h'), 'latin1'), MESSAGE);
      if (existsSync(mailEnv().MAIL)) assert.equal(readFileSync(mailEnv().MAIL, 'latin1'), '');
    });
  }

  it('cannot be made where that is not allowed', () => {
    mkdirSync(join(folder, 'locked'), { mode: 0o555 });
    const target = join(folder, 'locked/m');
    const [exit, stderr] = run({ program: 'maildirmake', args: [target], uid: NOBODY });
    assert.equal(exit, 111);
    assert.equal(stderr, `maildirmake: fatal: unable to mkdir ${target}: access denied\n`);
  });

  it('whose message cannot be removed is told of: it will come twice', () => {
    const maildir = makeMaildir();
    if (NOBODY !== undefined) chownSync(join(maildir, 'tmp'), NOBODY, NOBODY);
    chmodSync(join(maildir, 'new'), 0o555);
    const [exit, stderr] = run({ program: 'maildir2mbox', env: mailEnv(), uid: NOBODY });
    chmodSync(join(maildir, 'new'), 0o755);
    assert.equal(exit, 0);
    assert.match(
      stderr,
      /^maildir2mbox: warning: \$MAILDIR\/new\/1\.2\.h will be delivered twice; unable to unlink: access denied\n$/,
    );
    assert.match(readFileSync(mailEnv().MAIL, 'latin1'), /^From a@b\.c /);
  });
});

describe('a full disk', () => {
  const SIZE = 65_536;
  const disk = mkdtempSync(join(tmpdir(), 'client-disk-'));
  const options = ['-t', 'tmpfs', '-o', `size=${SIZE},nr_inodes=12`, 'none', disk];
  const { status, error } = spawnSync('mount', options, { stdio: 'ignore' });
  const why = error?.message ?? `mount ended with ${status}`;
  const skip = status === 0 ? false : `no file system can be mounted here (${why})`;
  after(() => {
    if (skip === false) spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });

  it('leaves maildir2mbox with the mail where it was, and the old mbox', { skip }, () => {
    const maildir = makeMaildir(disk);
    writeFileSync(join(disk, 'mbox'), 'From old\n\n');
    const before = `${MESSAGE}${'x'.repeat(SIZE / 2)}\n`;
    writeMessage(maildir, before);
    const [exit, stderr] = run({ program: 'maildir2mbox', env: mailEnv(disk) });
    assert.equal(exit, 111);
    assert.equal(stderr, `maildir2mbox: fatal: unable to write to ${disk}/mbox.new: out of disk space\n`);
    assert.equal(readFileSync(join(maildir, 'new/1.2.h'), 'latin1'), before);
    assert.equal(readFileSync(join(disk, 'mbox'), 'latin1'), 'From old\n\n');
    rmSync(join(disk, 'mbox.new'));
    writeMessage(maildir, MESSAGE);
    assert.deepEqual(run({ program: 'maildir2mbox', env: mailEnv(disk) }).slice(0, 2), [0, '']);
    assert.match(
      readFileSync(join(disk, 'mbox'), 'latin1'),
      /^From old\n\nFrom a@b\.c .*\n[\s\S]*\nbody\n\n$/,
    );
  });

  it('lets maildirmake say so', { skip }, () => {
    for (let i = 0; i < 20 && spawnSync('mkdir', [join(disk, `full-${i}`)]).status === 0; i++);
    const target = join(disk, 'm');
    const [exit, stderr] = run({ program: 'maildirmake', args: [target] });
    assert.equal(exit, 111);
    assert.equal(stderr, `maildirmake: fatal: unable to mkdir ${target}: out of disk space\n`);
  });

  for (const [program, args, told] of [
    ['qmail-inject', ['-n', 'a@b.c'], 'qmail-inject: fatal: write error\n'],
    ['qmail-showctl', [], 'qmail-showctl: fatal: unable to write: out of disk space\n'],
    ['qmail-showctl', ['--json'], 'qmail-showctl: fatal: unable to write: out of disk space\n'],
    ['maildirwatch', [], 'maildirwatch: fatal: unable to write: out of disk space\n'],
  ] as const) {
    it(`is no place for what ${[program, ...args].join(' ')} prints`, () => {
      makeMaildir();
      assert.deepEqual(run({ program, args, env: mailEnv(), redirect: '>/dev/full' }), [111, told, '']);
    });
  }
});

describe('a lock on the mbox', { skip: missingPeers('flock') }, () => {
  it('is waited for, and what its holder adds is kept', async () => {
    makeMaildir();
    const { MAIL } = mailEnv();
    writeFileSync(MAIL, '');
    const holder = spawn('flock', ['-x', MAIL, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    // What goes in comes back as soon as the lock is held.
    holder.stdin.write('x');
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const program = spawn(join(ROOT, 'bin/maildir2mbox'), { env: environment(mailEnv()) });
    await waitingForLock(program, statSync(MAIL).ino);
    assert.equal(readFileSync(MAIL, 'latin1'), '');
    appendFileSync(MAIL, 'From other\n\n');
    const [exit] = await Promise.all([ended(program), ended(holder), holder.stdin.end()]);
    assert.equal(exit, 0);
    assert.match(readFileSync(MAIL, 'latin1'), /^From other\n\nFrom a@b\.c /);
    assert.deepEqual(readdirSync(join(folder, 'Maildir/new')), []);
  });
});

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('close', resolve));
}

/** Resolves when somebody waits for a lock on that file, or the program that should has ended. */
async function waitingForLock(program: ChildProcess, inode: number): Promise<void> {
  const waiting = new RegExp(`-> FLOCK.*:${inode} `);
  const isWaiting = () => waiting.test(readFileSync('/proc/locks', 'latin1'));
  while (program.exitCode === null && !isWaiting()) await new Promise(setImmediate);
}

describe('a closed standard input', () => {
  const LINES = {
    RPLINE: 'Return-Path: <x@y.z>\n',
    DTLINE: 'Delivered-To: x\n',
    UFLINE: 'From x\n',
    SENDER: 'a@b.c',
    NEWSENDER: 'a@b.c',
  };
  const READERS: readonly (readonly [
    program: string,
    args: readonly string[],
    stderr: string,
    exit?: number,
  ])[] = [
    ['sendmail', ['-t'], 'qmail-inject: fatal: read error\n'],
    ['qmail-inject', ['a@b.c'], 'qmail-inject: fatal: read error\n'],
    ['forward', ['a@b.c'], 'forward: fatal: unable to read message: file descriptor not open\n'],
    ['condredirect', ['a@b.c', 'true'], 'condredirect: fatal: unable to rewind: file descriptor not open\n'],
    ['predate', ['cat'], 'predate: fatal: unable to read input: file descriptor not open\n'],
    ['datemail', ['a@b.c'], 'predate: fatal: unable to read input: file descriptor not open\n'],
    ['mailsubj', ['s', 'a@b.c'], 'mailsubj: fatal: unable to read input: file descriptor not open\n'],
    ['preline', ['cat'], 'preline: fatal: unable to copy input: file descriptor not open\n'],
    ['qreceipt', ['a@b.c'], 'qreceipt: fatal: read error\n'],
    ['qmail-qmqpc', [], '', 54],
  ];
  for (const [program, args, stderr, exit = 111] of READERS) {
    it(`is no empty message to ${program}`, () => {
      assert.ok(PROGRAMS.includes(program));
      writeFileSync(join(folder, 'home/control/qmqpservers'), '127.0.0.1\n');
      // The queue program would tell that it was given an envelope.
      const queue = join(folder, 'queue');
      writeFileSync(
        queue,
        `#!/bin/sh\nexec 2>/dev/null; cat >/dev/null; cat <&1 | grep -q . && : >${folder}/queued\n`,
        {
          mode: 0o755,
        },
      );
      const result = run({ program, args, env: { ...LINES, QMAILQUEUE: queue }, redirect: '<&-' });
      assert.deepEqual(result.slice(0, 2), [exit, stderr]);
      assert.equal(existsSync(join(folder, 'queued')), false);
    });
  }
});

describe('a reader that has gone', () => {
  for (const [program, args, told] of [
    ['qmail-inject', ['-n', 'a@b.c'], 'qmail-inject: fatal: write error\n'],
    ['qmail-showctl', [], 'qmail-showctl: fatal: unable to write: broken pipe\n'],
    ['maildirwatch', [], 'maildirwatch: fatal: unable to write: broken pipe\n'],
  ] as const) {
    it(`ends ${program} with a line and no signal`, async () => {
      makeMaildir();
      const child = spawn(join(ROOT, 'bin', program), args, { env: environment(mailEnv()) });
      child.stdout.destroy();
      // More than a pipe holds, so that something is left to be written when the reader has gone.
      child.stdin.on('error', () => {});
      child.stdin.end(`${MESSAGE}${'x'.repeat(300_000)}\n`);
      let stderr = '';
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      assert.equal(await ended(child), 111);
      assert.equal(stderr, told);
    });
  }

  it('as head -c1 is one, ends qmail-inject -n in the same way', () => {
    const command = `"$0" -n a@b.c 2>${folder}/told; echo $? >${folder}/exit`;
    const input = `${MESSAGE}${'x'.repeat(1_000_000)}\n`;
    const words = ['-c', `{ ${command}; } | head -c1`, join(ROOT, 'bin/qmail-inject')];
    const { stdout } = spawnSync('/bin/sh', words, { env: environment({}), input, encoding: 'utf8' });
    assert.equal(stdout, 'R');
    assert.equal(readFileSync(join(folder, 'exit'), 'utf8'), '111\n');
    assert.equal(readFileSync(join(folder, 'told'), 'utf8'), 'qmail-inject: fatal: write error\n');
  });
});
