// Mail that no server takes, by the real programs: what they say and end with, what they leave on the disk when that is full or
// not to be trusted, whose mail is whose, and how it is sent in the end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { hubNumber } from '../../src/client/spill-hub.ts';
import { programUnderTest } from '../support/client-vectors.ts';
import { type FakeServer, type ServerStep, startFakeServer } from '../support/fake-qmqp-server.ts';
import { missingPeers } from '../support/peers.ts';
import { mountSmall, unmount, whyNoSmallDisk } from '../support/small-disk.ts';
import { SpillHome } from '../support/spill-home.ts';

const NOWHERE = 'qmqp://127.0.0.1:1';
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const own = String(process.getuid?.() ?? 0);
const skip = missingPeers('flock');

let home: SpillHome;
let server: FakeServer | undefined;

beforeEach(() => {
  home = new SpillHome(NOWHERE);
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  home.remove();
});

const kept = (user = own) => readdirSync(join(home.folder, user)).sort();

/** Starts a server in whose place nothing was, to which the home's mail goes. */
async function listen(...steps: readonly ServerStep[]): Promise<FakeServer> {
  server = await startFakeServer('127.0.0.1', 0, steps);
  home.control('qmqpservers', `qmqp://127.0.0.1:${server.port}`);
  return server;
}

const ACCEPTS = [['read_all'], ['send', '5:Kokay,'], ['close']] as const;
const REFUSES = [['read_all'], ['send', '6:Dnever,'], ['close']] as const;

/** Bodies of the messages that a server got, in their order. */
function bodies({ received }: FakeServer): string[] {
  return received.map((request) => /\n\n([^\n]*)\n,/.exec(request.toString('latin1'))?.[1] ?? '?');
}

describe('sendmail without a server', () => {
  it('keeps the message, says so, and succeeds', () => {
    const { status, stdout, stderr } = home.sendmail('Subject: x\n\nbody\n');
    assert.deepEqual([status, stdout], [0, '']);
    assert.equal(
      stderr,
      `qmail-inject: warning: no mail server takes mail now; the message waits in ${home.folder}/${own}\n`,
    );
    assert.equal(kept().length, 1);
  });

  it('fails as ever without control/spilldir', () => {
    home.control('spilldir', '');
    const { status, stderr } = home.sendmail('x\n');
    assert.equal(status, 111);
    assert.equal(stderr, 'qmail-inject: fatal: connection to mail server rejected (#4.4.1)\n');
  });

  it('keeps nothing that a server has refused', async () => {
    await listen(...REFUSES);
    const { child, ended } = startSendmail('x\n');
    child.stdin?.end();
    assert.equal(await ended, 100);
    assert.deepEqual(readdirSync(home.folder), []);
  });

  for (const [name, spoil] of [
    ['is not there', () => rmSync(home.folder, { recursive: true })],
    ['has a link in place of the folder of the user', () => symlinkSync('/tmp', join(home.folder, own))],
    ['is full by control/spillcount', () => home.control('spillcount', '0')],
  ] as const) {
    it(`fails as ever, and says why, if the folder ${name}`, () => {
      spoil();
      const { status, stderr } = home.sendmail('x\n');
      assert.equal(status, 111);
      assert.match(
        stderr,
        /^qmail-inject: warning: Cannot use \S+: .*\nqmail-inject: fatal: connection to mail server rejected \(#4\.4\.1\)\n$/,
      );
    });
  }

  it('fails as ever if the file becomes too large, and leaves nothing', () => {
    const { status, stderr } = home.sendmail(`\n${'x'.repeat(5000)}\n`, { fileBlocksMax: 4 });
    assert.equal(status, 111);
    assert.match(stderr, /warning: Cannot .*\n.*fatal: connection/);
    assert.deepEqual(kept(), []);
  });
});

function startSendmail(text: string) {
  const child = spawn(programUnderTest('sendmail'), ['box@hub.example'], {
    env: { QMAILHOME: home.path, USER: 'joe' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin.write(text);
  return { child, ended: new Promise<number | null>((resolve) => child.on('close', resolve)) };
}

describe('a full disk', { skip: whyNoSmallDisk() }, () => {
  it('keeps what success was said about, whole, and nothing else', async () => {
    const disk = mountSmall(1);
    assert.ok(typeof disk === 'string');
    try {
      const folder = join(disk, 'spill');
      mkdirSync(folder);
      home.control('spilldir', folder);
      const ends = Array.from({ length: 12 }, (_, i) => {
        return home.sendmail(`\n${i}${'x'.repeat(150_000)}\n`).status;
      });
      assert.deepEqual([...new Set(ends)].sort(), [0, 111], 'it was filled');
      const names = readdirSync(join(folder, own));
      assert.equal(names.length, ends.filter((end) => end === 0).length);
      const { received } = await listen(...ACCEPTS);
      const flush = home.startFlush();
      assert.equal((await flush.ended).status, 0);
      for (const request of received) assert.match(request.toString('latin1'), /\n\n\d{1,2}x{150000}\n,/);
    } finally {
      unmount(disk);
    }
  });
});

describe('qmail-qmqpc', () => {
  it('keeps the message and prints nothing', async () => {
    const child = spawn(programUnderTest('qmail-qmqpc'), {
      env: { QMAILHOME: home.path },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let printed = '';
    child.stderr.on('data', (text) => (printed += text));
    const envelope = child.stdout as unknown as Writable;
    envelope.on('error', () => {});
    child.stdin.end('x\n');
    envelope.end('Fa@b\0Tc@d\0\0');
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.deepEqual([status, printed, kept().length], [0, '', 1]);
  });
});

describe('mini-qmail flush', { skip }, () => {
  it('sends what waits in the order in which it came, and says how many', async () => {
    for (const text of ['1', '2', '3']) home.sendmail(`\n${text}\n`);
    const list = home.flush(['--list', '--json']).stdout.trim().split('\n');
    assert.deepEqual(
      list.map((line) => JSON.parse(line)).map(({ state, recipients }) => [state, recipients]),
      list.map(() => ['waiting', ['box@hub.example']]),
    );
    const running = await listen(...ACCEPTS);
    const { status, stdout, stderr } = await home.startFlush().ended;
    assert.deepEqual([status, stdout, stderr], [0, 'sent 3, refused 0, waiting 0\n', '']);
    assert.deepEqual(bodies(running), ['1', '2', '3']);
    assert.deepEqual(kept(), []);
    const again = home.flush();
    assert.deepEqual([again.status, again.stdout, again.stderr], [0, '', '']);
  });

  it('leaves all as it is while there is no server', () => {
    home.sendmail('x\n');
    const before = kept();
    const { status, stdout, stderr } = home.flush(['--json']);
    assert.deepEqual([status, JSON.parse(stdout)], [111, { sent: 0, refused: 0, waiting: 1 }]);
    assert.match(stderr, /^mini-qmail flush: stopped: connection to mail server rejected/);
    assert.deepEqual(kept(), before);
  });

  it('keeps what is refused for good, and sends it again when it is told to', async () => {
    home.sendmail('x\n');
    await listen(...REFUSES);
    const first = await home.startFlush().ended;
    assert.equal(first.status, 100);
    assert.match(first.stderr, /is refused for good, and is kept there/);
    assert.match(
      home.flush(['--list']).stdout,
      /: refused, \d+ s, \d+ bytes, from "joe@\S+", 1 recipient\n$/,
    );
    assert.deepEqual([home.flush().status, kept().length], [0, 1]);
    await server?.stop();
    await listen(...ACCEPTS);
    assert.equal((await home.startFlush(['--refused']).ended).status, 0);
    assert.deepEqual(kept(), []);
  });

  it('leaves the work to one that is at it', async () => {
    home.sendmail('x\n');
    const running = await listen(['hang']);
    const first = home.startFlush();
    await running.connected;
    const second = await home.startFlush().ended;
    assert.deepEqual(second, {
      status: 0,
      stdout: '',
      stderr: 'mini-qmail flush: another flush is at work; left to it\n',
    });
    first.child.kill('SIGKILL');
    await first.ended;
    assert.equal(running.received.length, 1);
    assert.match(kept()[0] ?? '', /\.u\d+$/, 'the server may have it');
  });

  it('gives what a hub may have to nobody but this hub', async () => {
    home.sendmail('\nx\n');
    const [file] = kept();
    const main = hubNumber({ host: '', port: 0, hub: 'main' });
    const doubtful = `${file}.u${Math.floor(Date.now() / 1000)}.h${main}`;
    renameSync(join(home.folder, own, file!), join(home.folder, own, doubtful));
    const other = await listen(...ACCEPTS);
    home.control('qmqpservers', `qmqp://127.0.0.1:${other.port}\n${NOWHERE} hub=main`);
    assert.equal((await home.startFlush().ended).status, 111);
    assert.deepEqual([other.received.length, kept()], [0, [doubtful]]);

    const hub = await startFakeServer('127.0.0.1', 0, ACCEPTS);
    try {
      home.control('qmqpservers', `qmqp://127.0.0.1:${other.port}\nqmqp://127.0.0.1:${hub.port} hub=main`);
      assert.equal((await home.startFlush().ended).status, 0);
      assert.match(
        hub.received[0]?.toString('latin1') ?? '',
        /:Mini-Qmail-Spill: messages=1 oldest=\d+\n,0:,,$/,
      );
      assert.deepEqual([other.received.length, bodies(hub).at(-1), kept()], [0, 'x', []]);
    } finally {
      await hub.stop();
    }
  });

  it('says that nothing is kept where control/spilldir is not', () => {
    home.control('spilldir', '');
    const { status, stderr } = home.flush();
    assert.deepEqual([status, stderr.includes('control/spilldir')], [0, true]);
  });

  it('refuses words that it does not know', () => {
    assert.equal(home.flush(['--now']).status, 100);
    assert.equal(home.flush(['now']).status, 100);
  });

  it("sends a user's own mail for the user, and everybody's for root", {
    skip: !isRoot && 'only root can be somebody else',
  }, async () => {
    home.sendmail('\nby root\n');
    home.sendmail('\nby nobody\n', { uid: NOBODY });
    home.sendmail('\nby root again\n');
    home.sendmail('\nby nobody again\n', { uid: NOBODY });
    assert.deepEqual([kept().length, kept(String(NOBODY)).length], [2, 2]);
    assert.equal(home.flush(['--list'], { uid: NOBODY }).stdout.split('\n').length, 3);
    // A user's tricks: what looks like a message and is a link to one of root's.
    symlinkSync(join(home.folder, '0', kept()[0]!), join(home.folder, String(NOBODY), '1.000000.1.1'));
    const running = await listen(...ACCEPTS);
    const { status, stderr } = await home.startFlush().ended;
    assert.equal(status, 100);
    assert.match(stderr, /65534\/1\.000000\.1\.1 is damaged/);
    assert.deepEqual(bodies(running), ['by root', 'by nobody', 'by root again', 'by nobody again']);
  });

  it('sends the rest if the folder of one user cannot be trusted', {
    skip: !isRoot && 'only root sends the mail of others',
  }, async () => {
    home.sendmail('\n1\n');
    symlinkSync('0', join(home.folder, '4711'));
    const running = await listen(...ACCEPTS);
    const { status, stderr } = await home.startFlush().ended;
    assert.deepEqual([status, bodies(running)], [0, ['1']]);
    assert.match(stderr, /Cannot use \S+\/4711: /);
  });
});
