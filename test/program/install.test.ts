// mini-qmail install and uninstall as an administrator runs them, and what it has made: a null client, and a tree that many
// hosts share. What must hold when a run is ended is tested in src/setup.

import assert from 'node:assert/strict';
import { type StdioOptions, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, it, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { skipUnless } from '../support/peers.ts';
import { folder, fresh, install, installed, NODE, run } from '../support/run-install.ts';

// A QMQP client reads its envelope from what others have as standard output.
const NO_INPUT: StdioOptions = ['ignore', 'ignore', 'pipe'];

function control(prefix: string): { [name: string]: string } {
  const names = readdirSync(join(prefix, 'control'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(prefix, 'control', name), 'utf8')]));
}

describe('mini-qmail install --role client', () => {
  let prefix: string;
  before(() => {
    prefix = fresh();
    installed(
      prefix,
      ...['--role', 'client', '--me', 'm.b.example.org', '--idhost', 'h.example.org'],
      ...['--server', '192.0.2.1', '--server=qmqp://[2001:db8::1]:628,192.0.2.2'],
    );
  });

  it('has the programs, pages and control files of a null client, and one step more is none', () => {
    const programs =
      'bouncesaying condredirect datemail elq except forward maildir2mbox maildirmake maildirwatch mailsubj mini-qmail pinq predate preline qail qbiff qmail-inject qmail-qmqpc qmail-queue qmail-showctl qreceipt sendmail';
    assert.deepEqual(readdirSync(join(prefix, 'bin')), programs.split(' '));
    assert.equal(readlinkSync(join(prefix, 'bin/qmail-queue')), 'qmail-qmqpc');
    assert.deepEqual(control(prefix), {
      me: 'm.b.example.org\n',
      defaultdomain: 'b.example.org\n',
      plusdomain: 'example.org\n',
      idhost: 'h.example.org\n',
      qmqpservers: '192.0.2.1\nqmqp://[2001:db8::1]:628\n192.0.2.2\n',
    });
    for (const page of ['man1/forward.1', 'man5/qmail-control.5', 'man8/sendmail.8', 'man8/qmail-queue.8'])
      assert.ok(existsSync(join(prefix, 'man', page)), page);
    assert.equal(existsSync(join(prefix, 'man/man8/qmail-qmqpd.8')), false);
    assert.equal(installed(prefix), 'nothing to do\n');
  });

  it('runs every program without the checkout and its packages', () => {
    const elsewhere = fresh();
    cpSync(prefix, elsewhere, { recursive: true, verbatimSymlinks: true });
    const text = readFileSync(join(elsewhere, 'lib/mini-qmail/mini-qmail.mjs'), 'utf8');
    assert.doesNotMatch(text, new RegExp(`${ROOT}/`));
    const { status, stdout } = run(['-n'], join(prefix, 'bin/qmail-inject'), { env: { USER: 'joe' } });
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^Message-ID: <\d{14}\.\d+\.qmail@h\.example\.org>\nFrom: joe@m\.b\.example\.org\n/m,
    );
    for (const name of readdirSync(join(prefix, 'bin'))) {
      const { stderr } = run(['--version'], join(prefix, 'bin', name), { stdio: NO_INPUT });
      assert.doesNotMatch(stderr, /node:internal|Cannot find/, name);
    }
    assert.match(run(['--version'], join(prefix, 'bin/mini-qmail')).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it('has code caches that V8 takes', () => {
    const spy = fresh();
    const wrap =
      "vm.Script = class extends vm.Script { constructor(...a) { super(...a); console.error('rejected ' + this.cachedDataRejected); } };";
    writeFileSync(`${spy}.cjs`, `const vm = require('node:vm'); ${wrap}`);
    for (const program of ['sendmail', 'qmail-inject', 'qmail-qmqpc']) {
      const options = { env: { NODE_OPTIONS: `--require ${spy}.cjs` }, stdio: NO_INPUT };
      assert.match(run([], join(prefix, 'bin', program), options).stderr, /^rejected false$/m, program);
    }
  });

  it('refuses another value than the one that is there, and takes it by force', () => {
    const { status, stdout, stderr } = install(prefix, '--server', '192.0.2.9');
    assert.equal(status, 100);
    const path = join(prefix, 'control/qmqpservers');
    const holds = '192.0.2.1, qmqp://[2001:db8::1]:628, 192.0.2.2';
    assert.equal(
      stdout.split('\n')[0],
      `refuse ${path}: holds ${holds}, asked for was 192.0.2.9; --force replaces it`,
    );
    assert.equal(stderr, 'mini-qmail install: fatal: nothing was done, 1 of the steps above were refused\n');
    assert.equal(install(prefix, '--server', '192.0.2.9', '--dry-run').status, 100);
    installed(prefix, '--server', '192.0.2.9', '--force');
    assert.equal(readFileSync(path, 'utf8'), '192.0.2.9\n');
  });

  it('installs itself elsewhere', () => {
    const second = fresh();
    const args = ['install', '--role', 'client', '--prefix', second, '--node', NODE, '--idhost', 'x.example'];
    assert.equal(run(args, join(prefix, 'bin/mini-qmail')).status, 0);
    const names = (from: string) => readdirSync(from, { recursive: true, encoding: 'utf8' }).sort();
    for (const part of ['bin', 'lib', 'man'])
      assert.deepEqual(names(join(second, part)), names(join(prefix, part)));
    const { status, stderr } = run(['install', '--role', 'hub'], join(second, 'bin/mini-qmail'));
    assert.equal(status, 100);
    assert.match(stderr, /^mini-qmail install: fatal: qmail-qmqpd is not among the programs in .*\n$/);
    const { stdout } = run(['uninstall'], join(second, 'bin/mini-qmail'));
    assert.match(stdout, /\n\d+ steps done\n$/);
    assert.equal(existsSync(second), false);
  });
});

test('a plan is printed, and nothing is done with --dry-run', () => {
  const prefix = fresh();
  const stdout = installed(prefix, '--role', 'client', '--idhost', 'h.example', '--dry-run');
  const lines = stdout.split('\n');
  assert.equal(lines[0], `create ${prefix}`);
  assert.ok(lines.includes(`write ${prefix}/bin/sendmail`));
  assert.ok(lines.includes(`link ${prefix}/bin/qmail-queue`));
  assert.ok(
    lines.includes(
      `warn ${prefix}/control/qmqpservers: is missing: no mail can be sent; give --server ADDRESS`,
    ),
  );
  assert.match(stdout, /\n\d+ steps to do, none done: --dry-run was given\n$/);
  assert.equal(existsSync(prefix), false);
  const { status } = run(['uninstall', '--prefix', prefix, '--dry-run']);
  assert.equal(status, 0);
});

test('the interpreter of the package is copied, one of the system is named', () => {
  const prefix = fresh();
  const args = [
    'install',
    '--role',
    'list',
    '--prefix',
    prefix,
    '--list-prefix',
    fresh(),
    '--server',
    '192.0.2.1',
  ];
  assert.equal(run(args).status, 0);
  const start = join(prefix, 'lib/mini-qmail/qmail-qmqpc.cjs');
  const own = join(prefix, 'lib/mini-qmail/node');
  const fits = `#!${own} ${start}`.length <= 127;
  const launcher = readFileSync(join(prefix, 'bin/qmail-qmqpc'), 'utf8');
  assert.ok(launcher.startsWith(fits ? `#!${own} ${start}\n` : `#!/bin/sh\nexec '${own}' '${start}' `));
  assert.equal(lstatSync(own).size, lstatSync(NODE).size);
  installed(prefix);
  assert.match(readFileSync(join(prefix, 'bin/qmail-qmqpc'), 'utf8'), new RegExp(`${NODE}'? '?${start}`));
  // A later run keeps to what was said.
  assert.equal(run(['install', '--prefix', prefix]).stdout, 'nothing to do\n');
});

test('an interpreter that cannot run the programs is refused', () => {
  const old = fresh();
  writeFileSync(old, '#!/bin/sh\necho 20.1.0 11.3\n', { mode: 0o755 });
  for (const [node, reason] of [
    [old, /is Node 20\.1\.0; 24 or later is needed/],
    ['/nonexistent/node', /cannot be run as Node \(.*ENOENT\); give another/],
    ['/bin/false', /cannot be run as Node \(it ended with 1\)/],
    ['node', /give an absolute path/],
  ] as const) {
    const { status, stderr } = run(['install', '--role', 'client', '--prefix', fresh(), '--node', node]);
    assert.equal(status, 100);
    assert.match(stderr, reason);
  }
});

test('a Node with another V8 gets no code caches, and a warning', () => {
  const other = fresh();
  writeFileSync(other, '#!/bin/sh\necho 99.0.0 99.0\n', { mode: 0o755 });
  const args = [
    '--role',
    'client',
    '--idhost',
    'h.example',
    '--dry-run',
    '--prefix',
    fresh(),
    '--node',
    other,
  ];
  const { status, stdout } = run(['install', ...args]);
  assert.equal(status, 0);
  assert.doesNotMatch(stdout, /\.cache/);
  assert.match(stdout, new RegExp(`^warn ${other}: not the Node of this build`, 'm'));
});

test('a prefix that no interpreter line can hold has launchers that go through a shell', () => {
  const prefix = join(fresh(), "it's a long prefix".padEnd(140, 'x'));
  installed(prefix, '--role', 'client', '--me', 'a.example', '--idhost', 'h.example');
  const { status, stdout } = run(['-n', 'x'], join(prefix, 'bin/qmail-inject'), { env: { USER: 'joe' } });
  assert.equal(status, 0);
  assert.match(stdout, /^From: joe@a\.example$/m);
});

test('--from-server copies what completes addresses, and no more', () => {
  const server = fresh();
  mkdirSync(join(server, 'control'), { recursive: true });
  for (const name of ['me', 'defaultdomain', 'plusdomain', 'defaulthost', 'idhost', 'rcpthosts'])
    writeFileSync(join(server, 'control', name), `${name}.example \t\nmore\n`);
  for (const from of [server, join(server, 'control')]) {
    const prefix = fresh();
    installed(
      prefix,
      '--role',
      'client',
      '--from-server',
      from,
      '--idhost',
      'h.example',
      '--server',
      '192.0.2.1',
    );
    assert.deepEqual(control(prefix), {
      me: 'me.example\n',
      defaultdomain: 'defaultdomain.example\n',
      plusdomain: 'plusdomain.example\n',
      defaulthost: 'defaulthost.example\n',
      idhost: 'h.example\n',
      qmqpservers: '192.0.2.1\n',
    });
  }
});

const WRONG: readonly { words: string[]; stderr: RegExp }[] = [
  { words: [], stderr: /nothing is installed in .* yet: give --role client, / },
  { words: ['--role', 'server'], stderr: /there is no role "server": give --role client, / },
  {
    words: ['--role', 'client', '--server', 'hub.example'],
    stderr: /--server "hub\.example" is no address of a QMQP/,
  },
  { words: ['--role', 'client', '--server', '192.0.2.1,'], stderr: /--server "" is no address/ },
  { words: ['--role', 'client', '--server', '192.0.2.1 x'], stderr: /is no address of a QMQP/ },
  { words: ['--role', 'client', '--me', 'a b'], stderr: /--me "a b" is no name of a host/ },
  { words: ['--role', 'client', '--idhost', 'a\nb'], stderr: /--idhost "a\\nb" is no name/ },
  { words: ['--role', 'client', '--from-server', folder], stderr: /there is none of me, defaultdomain, / },
  {
    words: ['--role', 'list', '--me', 'a.example'],
    stderr: /control\/me has no use in this role; leave it out/,
  },
  { words: ['--role', 'list', '--sendmail'], stderr: /there is no sendmail in this role/ },
  { words: ['--role', 'client', '--prefix', '/'], stderr: /--prefix "\/" cannot be a folder of its own/ },
];

for (const { words, stderr } of WRONG) {
  test(`mini-qmail install ${JSON.stringify(words)} is refused in one line`, () => {
    const prefix = fresh();
    const result = run(['install', '--prefix', prefix, ...words]);
    assert.equal(result.status, 100);
    assert.match(result.stderr, /^mini-qmail install: fatal: [^\n]*\n$/);
    assert.match(result.stderr, stderr);
    assert.equal(existsSync(prefix), false);
  });
}

test('--sendmail makes both links, never over those of others, and --force gives them back', () => {
  const root = fresh();
  mkdirSync(join(root, 'usr/sbin'), { recursive: true });
  mkdirSync(join(root, 'usr/lib'), { recursive: true });
  writeFileSync(join(root, 'usr/sbin/sendmail'), 'postfix');
  symlinkSync('../sbin/sendmail', join(root, 'usr/lib/sendmail'));
  const words = ['--root', root, '--role', 'client', '--idhost', 'h.example', '--sendmail'];
  const refused = install('/var/qmail', ...words);
  assert.equal(refused.status, 100);
  assert.match(
    refused.stdout,
    new RegExp(`^refuse ${root}/usr/sbin/sendmail: is a file that is not mini-qmail's`, 'm'),
  );
  installed('/var/qmail', ...words, '--force');
  assert.equal(readlinkSync(join(root, 'usr/sbin/sendmail')), '/var/qmail/bin/sendmail');
  assert.equal(readlinkSync(join(root, 'usr/lib/sendmail')), '../sbin/sendmail');
  assert.equal(
    installed('/var/qmail', ...words)
      .split('\n')
      .at(-2),
    'nothing to do',
  );
  const { status, stdout } = run(['uninstall', '--root', root]);
  assert.equal(status, 0);
  assert.match(stdout, new RegExp(`^restore ${root}/usr/sbin/sendmail: from `, 'm'));
  assert.equal(readFileSync(join(root, 'usr/sbin/sendmail'), 'utf8'), 'postfix');
  assert.deepEqual(readdirSync(join(root, 'usr/sbin')), ['sendmail']);
  assert.equal(existsSync(join(root, 'var')), false);
});

test('a tree that hosts share takes its idhost from each of them', () => {
  const prefix = fresh();
  const local = join(fresh(), 'etc/idhost');
  installed(
    prefix,
    '--role',
    'client',
    '--me',
    'a.example',
    '--idhost',
    'one.example',
    '--idhost-link',
    local,
  );
  assert.equal(readlinkSync(join(prefix, 'control/idhost')), local);
  assert.equal(readFileSync(local, 'utf8'), 'one.example\n');
  // The next host has nothing of its own yet, and may not write to the prefix.
  rmSync(dirname(local), { recursive: true });
  const before = readFileSync(join(prefix, 'lib/mini-qmail/install.json'));
  const stdout = installed(prefix, '--idhost-only', '--idhost', 'two.example');
  assert.equal(stdout, `create ${dirname(local)}\nwrite ${local}\n2 steps done\n`);
  assert.equal(readFileSync(local, 'utf8'), 'two.example\n');
  assert.deepEqual(readFileSync(join(prefix, 'lib/mini-qmail/install.json')), before);
  assert.equal(installed(prefix, '--idhost-only', '--idhost', 'two.example'), 'nothing to do\n');
  assert.equal(install(prefix, '--idhost-only', '--idhost', 'three.example').status, 100);
  assert.equal(install(fresh(), '--idhost-only').status, 100);
});

const isRoot = process.getuid?.() === 0;
const needsRoot = skipUnless(isRoot ? [] : ['not root']);

test('who may not write gets 111 and one line, and nothing is begun', { skip: needsRoot }, () => {
  const above = fresh();
  mkdirSync(above);
  const args = ['install', '--role', 'client', '--prefix', join(above, 'p'), '--idhost', 'h.example'];
  const { status, stderr } = run(args, undefined, { uid: 65534 });
  assert.equal(status, 111);
  assert.match(
    stderr,
    /^mini-qmail install: fatal: Cannot (?:create folder|look at) \S+: access denied; mend that, then run the same command again; [^\n]*\n$/,
  );
  assert.deepEqual(readdirSync(above), []);
});

test('a disk that is too small is told before anything is written', { skip: needsRoot }, (t) => {
  const mounted = fresh();
  mkdirSync(mounted);
  const { status: mountStatus } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', mounted]);
  if (mountStatus !== 0) {
    t.diagnostic(`no tmpfs can be mounted: ${mountStatus}`);
    assert.equal(skipUnless(['no tmpfs can be mounted']), 'no tmpfs can be mounted');
    return;
  }
  try {
    const { status, stderr } = install(join(mounted, 'p'), '--role', 'client', '--idhost', 'h.example');
    assert.equal(status, 111);
    assert.match(stderr, /Cannot install in \S+: \d+ MB are needed, 1 MB are free there; mend that, /);
    assert.deepEqual(readdirSync(mounted), []);
    spawnSync('mount', ['-o', 'remount,ro', mounted]);
    const readOnly = install(join(mounted, 'p'), '--role', 'client', '--idhost', 'h.example', '--force');
    assert.equal(readOnly.status, 111);
    assert.deepEqual(readdirSync(mounted), []);
  } finally {
    spawnSync('umount', [mounted]);
  }
});
