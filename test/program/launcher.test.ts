// The build's launchers and start files, from wherever and however they are called, and whatever state the code caches
// are in. Builds copies of this checkout in folders of their own, each with a control/, so that each is a home.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { type FakeServer, startFakeServer } from '../support/fake-qmqp-server.ts';

const MESSAGE =
  'From: a@b.test\nTo: c@d.test\nDate: 1 Jan 2026 00:00:00 -0000\nMessage-ID: <1@b.test>\n\nbody\n';
const WITH_CACHE = ['sendmail', 'qmail-inject', 'qmail-qmqpc', 'qmail-qmqpd'];
/** Reports what became of each code cache, and a call's stack, on standard error. */
const SPY = `
const vm = require('node:vm');
const { writeSync } = require('node:fs');
vm.Script = class extends vm.Script {
  constructor(...words) {
    super(...words);
    writeSync(2, 'rejected: ' + this.cachedDataRejected + '\\n');
  }
};
const { chdir } = process;
process.chdir = (folder) => {
  writeSync(2, new Error('chdir').stack + '\\n');
  chdir(folder);
};
`;
const NO_LOOPBACK = `
require('node:net').Server.prototype.listen = function () {
  process.nextTick(() => this.emit('error', new Error('no such interface')));
};
`;

interface Run {
  readonly exit: number | null;
  readonly stderr: string;
}

let folder: string;
/** A built copy with one-line launchers, and one whose launchers need a shell. */
let plain: string;
let blank: string;
let server: FakeServer;
let elsewhere: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'launcher-'));
  server = await startFakeServer('127.0.0.1', 0, [['read_all'], ['send', '2:Kk,'], ['close']]);
  elsewhere = join(folder, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(folder, 'spy.cjs'), SPY);
  writeFileSync(join(folder, 'no-loopback.cjs'), NO_LOOPBACK);
  [plain, blank] = await Promise.all([copyAndBuild('plain'), copyAndBuild("it's a folder")]);
});

after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function copyAndBuild(name: string): Promise<string> {
  const root = join(folder, name);
  for (const part of ['src', 'scripts', 'package.json']) {
    cpSync(join(ROOT, part), join(root, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  mkdirSync(join(root, 'control'));
  writeFileSync(join(root, 'control/me'), 'b.test\n');
  writeFileSync(join(root, 'control/qmqpservers'), `qmqp://127.0.0.1:${server.port}\n`);
  assert.deepEqual(await build(root), { exit: 0, stderr: '' });
  return root;
}

function build(root: string, env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return run(process.execPath, [join(root, 'scripts/build.mjs')], { env: { ...process.env, ...env } });
}

async function run(
  path: string,
  args: readonly string[],
  { cwd = elsewhere, env = {} }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Run> {
  const child = spawn(path, args, { cwd, env, stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(MESSAGE);
  const [exit] = await once(child, 'close');
  return { exit, stderr };
}

/** Hands the message over and returns the request that came of it. */
async function handOver(path: string, options: Parameters<typeof run>[2] = {}): Promise<string> {
  const before = server.received.length;
  assert.deepEqual(await run(path, ['-t', '-fa@b.test'], options), { exit: 0, stderr: '' });
  assert.equal(server.received.length, before + 1);
  return server.received.at(-1)!.toString();
}

/** Path of the bundle or the cache that a start file names. */
function distFile(root: string, program: string, extension: 'cjs' | 'cache'): string {
  const pattern = new RegExp(`${program}\\.[0-9a-f]{16}\\.${extension}`);
  const start = readFileSync(join(root, 'dist', `${program}.cjs`), 'utf8');
  return join(root, 'dist', pattern.exec(start)![0]);
}

function rejection({ stderr }: Run): string | undefined {
  return /^rejected: (.*)$/m.exec(stderr)?.[1];
}

function spied(extra: NodeJS.ProcessEnv = {}): { env: NodeJS.ProcessEnv } {
  return { env: { NODE_OPTIONS: `--require ${join(folder, 'spy.cjs')}`, ...extra } };
}

const WANTED = `${MESSAGE.length}:${MESSAGE},8:a@b.test,8:c@d.test,`;

for (const kind of ['one-line', 'shell']) {
  const rootOf = () => (kind === 'shell' ? blank : plain);
  const nameOf = (program: string) => join(rootOf(), 'bin', program);

  test(`a ${kind} launcher is what its folder's path needs`, () => {
    const [first] = readFileSync(nameOf('sendmail'), 'utf8').split('\n');
    const line = `#!${realpathSync(join(ROOT, 'node_modules/node/bin/node'))} ${join(rootOf(), 'dist/sendmail.cjs')}`;
    // A checkout or temporary folder with a long path needs a shell as well.
    const fits = line.length <= 127 && line.split(' ').length === 2;
    assert.equal(first, fits ? line : '#!/bin/sh');
    if (kind === 'shell') assert.equal(fits, false);
  });

  test(`a ${kind} launcher works with an empty environment, from another folder`, async () => {
    assert.equal(await handOver(nameOf('sendmail')), `${WANTED.length}:${WANTED},`);
    assert.equal(await handOver(relative(elsewhere, nameOf('sendmail'))), `${WANTED.length}:${WANTED},`);
  });

  test(`a ${kind} launcher finds its home and its name through a symbolic link`, async () => {
    for (const name of ['newaliases', 'hand over']) {
      rmSync(join(elsewhere, name), { force: true });
      symlinkSync(nameOf('sendmail'), join(elsewhere, name));
    }
    assert.equal(await handOver('./hand over'), `${WANTED.length}:${WANTED},`);
    const { exit, stderr } = await run('./newaliases', []);
    assert.equal(exit, 100);
    assert.match(stderr, /^sendmail: fatal: please use fastforward\/newaliases/);
    assert.match((await run('./hand over', ['-!'])).stderr, /^hand over: /);
  });

  test(`a ${kind} launcher passes every argument as it is`, async () => {
    const before = server.received.length;
    const args = ['-f', '', 'two words@d.test', "it's@d.test", '$HOME@d.test'];
    assert.deepEqual(await run(nameOf('qmail-inject'), ['-a', ...args]), { exit: 0, stderr: '' });
    const request = server.received[before]!.toString();
    for (const recipient of ["11:it's@d.test,", '12:$HOME@d.test,']) {
      assert.ok(request.includes(recipient), request);
    }
  });
}

test('every short program has a code cache that its interpreter takes', async () => {
  for (const program of WITH_CACHE) {
    const result = await run(join(plain, 'bin', program), [], spied());
    assert.equal(rejection(result), 'false', `${program}: ${result.stderr}`);
  }
});

const good = () => readFileSync(distFile(plain, 'sendmail', 'cache'));
const DAMAGES: readonly { name: string; rejected: string; damage(bytes: Buffer): Buffer | undefined }[] = [
  { name: 'missing', rejected: 'undefined', damage: () => undefined },
  { name: 'empty', rejected: 'undefined', damage: () => Buffer.alloc(0) },
  { name: 'truncated', rejected: 'undefined', damage: (bytes) => bytes.subarray(0, bytes.length >> 2) },
  {
    name: 'cut in the middle',
    rejected: 'undefined',
    damage: (bytes) => bytes.subarray(0, bytes.length >> 1),
  },
  {
    name: 'damaged in one bit',
    rejected: 'undefined',
    damage(bytes) {
      bytes[bytes.length >> 2]! ^= 1;
      return bytes;
    },
  },
  {
    name: 'made by another V8',
    rejected: 'true',
    damage(bytes) {
      // The second word of V8's header is its version; both copies agree.
      bytes[4]! ^= 1;
      bytes[4 + (bytes.length >> 1)]! ^= 1;
      return bytes;
    },
  },
  {
    name: 'something else altogether',
    rejected: 'true',
    damage: () => Buffer.from('no code cache, no code cache, '.repeat(2)),
  },
];

for (const { name, rejected, damage } of DAMAGES) {
  test(`a program whose code cache is ${name} compiles and does the same`, async () => {
    const path = distFile(plain, 'sendmail', 'cache');
    const whole = good();
    const damaged = damage(Buffer.from(whole));
    try {
      if (damaged === undefined) rmSync(path);
      else writeFileSync(path, damaged);
      assert.equal(await handOver(join(plain, 'bin/sendmail')), `${WANTED.length}:${WANTED},`);
      assert.equal(rejection(await run(join(plain, 'bin/sendmail'), [], spied())), rejected);
      const queue = { QMAILQUEUE: join(folder, 'nothing') };
      const { exit, stderr } = await run(join(plain, 'bin/sendmail'), ['-t'], { env: queue });
      assert.equal(exit, 111);
      assert.match(stderr, /^qmail-inject: fatal: /);
    } finally {
      writeFileSync(path, whole);
    }
  });
}

test('a bundle with a code cache starts other programs, and its stack traces name its file and lines', async () => {
  const queue = join(folder, 'queue');
  writeFileSync(queue, `#!/bin/sh\ncat >'${queue}.message'\nexit 0\n`, { mode: 0o755 });
  const result = await run(join(plain, 'bin/sendmail'), ['-t'], spied({ QMAILQUEUE: queue }));
  assert.equal(result.exit, 0, result.stderr);
  assert.equal(readFileSync(`${queue}.message`, 'utf8'), MESSAGE);
  const bundle = distFile(plain, 'sendmail', 'cjs');
  const [, line] = result.stderr.split(`runSendmail (${bundle}:`);
  assert.match(readFileSync(bundle, 'utf8').split('\n')[Number.parseInt(line!, 10) - 1]!, /process\.chdir\(/);
});

test('programs start at any moment while two builds run', async () => {
  let running = 2;
  const builds = [build(plain), build(plain)].map(async (done) => {
    const result = await done;
    running--;
    return result;
  });
  let starts = 0;
  while (running > 0) {
    assert.equal(await handOver(join(plain, 'bin/sendmail')), `${WANTED.length}:${WANTED},`);
    starts++;
  }
  assert.deepEqual(await Promise.all(builds), Array(2).fill({ exit: 0, stderr: '' }));
  assert.ok(starts > 0);
  for (const part of ['bin', 'dist']) {
    assert.deepEqual(
      readdirSync(join(plain, part)).filter((name) => name.endsWith('.tmp')),
      [],
    );
  }
});

test('a build removes old names, and leaves alone what another build may just have written', async () => {
  const hourAgo = new Date(Date.now() - 3_600_000);
  for (const name of ['bin/old-program', 'dist/sendmail.0123456789abcdef.cache', 'dist/fresh.cjs']) {
    writeFileSync(join(plain, name), '');
    if (!name.includes('fresh')) utimesSync(join(plain, name), hourAgo, hourAgo);
  }
  assert.equal((await build(plain)).exit, 0);
  assert.equal(existsSync(join(plain, 'bin/old-program')), false);
  assert.equal(existsSync(join(plain, 'dist/sendmail.0123456789abcdef.cache')), false);
  assert.equal(existsSync(join(plain, 'dist/fresh.cjs')), true);
});

test('a build without a loopback interface says so and makes programs without code caches', async () => {
  rmSync(join(plain, 'dist'), { recursive: true });
  const options = `--require ${join(folder, 'no-loopback.cjs')}`;
  const { exit, stderr } = await build(plain, { NODE_OPTIONS: options });
  assert.deepEqual({ exit, stderr }, { exit: 0, stderr: 'Built without code caches: no such interface\n' });
  assert.deepEqual(
    readdirSync(join(plain, 'dist')).filter((name) => name.endsWith('.cache')),
    [],
  );
  assert.equal(await handOver(join(plain, 'bin/sendmail')), `${WANTED.length}:${WANTED},`);
});
