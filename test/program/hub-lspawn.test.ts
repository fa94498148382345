// hub-lspawn as a process: who may ask it, what it trusts, whom it becomes, and what is left when it dies.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { LocalHelper } from '../../src/delivery/local-helper.ts';
import { ROOT } from '../support/client-vectors.ts';
import { IS_ROOT, LocalHome, whyNoUser } from '../support/local-home.ts';

const PROGRAM = join(ROOT, 'bin/hub-lspawn');
const noUser = { skip: whyNoUser() ?? false };
const onlyRoot = { skip: IS_ROOT ? noUser.skip : 'only root can become others' };
/** A user besides the one who stands for the hub's. */
const OTHER = 1;

let home: LocalHome;
let hub: LocalHelper;
let helper: ChildProcess | undefined;
beforeEach(() => {
  home = new LocalHome(['=joe:joe:UID:GID:HOME:::', '+joe-:joe:UID:GID:HOME:-::']);
  hub = new LocalHelper({ home: home.path, program: PROGRAM });
});
afterEach(async () => {
  hub.close();
  if (helper?.exitCode === null && helper.signalCode === null) {
    helper.kill();
    await once(helper, 'exit');
  }
  helper = undefined;
  home.remove();
});

/** Starts a helper that takes requests when this resolves. */
async function start(args: readonly string[], uid?: number): Promise<void> {
  const options = uid === undefined ? {} : { uid, gid: uid };
  // What one that is killed leaves behind goes with the home.
  const env = { QMAILHOME: home.path, TMPDIR: uid === undefined ? home.path : '/tmp' };
  helper = spawn(PROGRAM, args, {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...options,
  });
  assert.equal(String(await Promise.race([once(helper.stdout!, 'data'), once(helper, 'exit')])), 'ready\n');
}

/** Runs one that is expected to end by itself. */
function runToEnd(...args: string[]): [number | null, string] {
  const { status, stderr } = spawnSync(PROGRAM, args, { env: { QMAILHOME: home.path }, encoding: 'latin1' });
  return [status, stderr];
}

function deliver(address: string, sender = 'a@b.example', message = 'Subject: x\n\n'): Promise<Outcome> {
  const identity = { birthMs: 0, message: 1, recipient: 0 };
  return hub.deliver({
    identity,
    address: Buffer.from(address, 'latin1'),
    sender: Buffer.from(sender, 'latin1'),
    message: bytesOf(message),
  });
}

describe('hub-lspawn, started by the hub', noUser, () => {
  it('is started when it is needed, and ends with the hub', async () => {
    const own = join(home.path, 'run/lspawn-own.sock');
    assert.deepEqual(await deliver('joe@x'), { letter: 'K', text: 'did 1+0+0\n' });
    assert.equal(lstatSync(own).mode & 0o077, 0);
    hub.close();
    while (existsSync(own)) await setImmediate();
    assert.deepEqual(await deliver('joe@x'), { letter: 'K', text: 'did 1+0+0\n' });
  });

  it('hands odd addresses on as they are, and refuses those that no program can be given', async () => {
    home.put('.qmail-default', '|printf "%s|%s|%s" "$LOCAL" "$EXT" "$SENDER"\n');
    const odd = `joe--n|$(id)"'\\ \n\u00c3\u00a9`;
    const { letter, text: printed } = await deliver(`${odd}@x`, '-s$(id)@y');
    assert.deepEqual([letter, printed], ['K', `${odd}|${odd.slice(4)}|-s$(id)@ydid 0+0+1\n`]);
    assert.equal((await deliver('joe-\xff@x')).letter, 'D');
    assert.equal((await deliver('joe@x', 's\xff@y')).letter, 'D');
    assert.equal((await deliver('joe-\0a@x')).letter, 'D');
    assert.equal((await deliver('joe@x', 's\0@y')).letter, 'D');
    assert.equal((await deliver(`${'x'.repeat(200_000)}@x`)).letter, 'D');
    assert.deepEqual(await deliver('@x'), { letter: 'K', text: '' });
  });

  it('takes trouble with users/cdb, the program or the rights for temporary, and says what it is', async () => {
    assert.match((await deliver('ann@x')).text, /Nobody has this address any more/);
    home.assign(['=joe:joe:UID:GID:HOME:::', '=own:own:2147483648:1:HOME:::', '=none:none:nobody:1:HOME:::']);
    assert.equal((await deliver('none@x')).text, 'Not allowed to perform deliveries as root.\n');
    assert.equal((await deliver('own@x')).letter, 'Z');
    home.replaceProgram('qmail-local', '/nonexistent');
    assert.deepEqual(await deliver('joe@x'), { letter: 'Z', text: 'Unable to run qmail-local.\n' });
    rmSync(join(home.path, 'users/cdb'));
    home.control('localdelivery', 'qmail\n');
    home.replaceProgram('qmail-getpw', '/nonexistent');
    assert.deepEqual(await deliver('joe@x'), { letter: 'Z', text: 'Unable to run qmail-getpw.\n' });
    hub.close();
    hub = new LocalHelper({ home: home.path, program: '/nonexistent' });
    rmSync(join(home.path, 'run'), { recursive: true });
    assert.match(
      (await deliver('joe@x')).text,
      /^Unable to reach hub-lspawn: Cannot run \/nonexistent: .*ENOENT/,
    );
  });

  it('names the remedy when somebody else has the mail and it is not root', onlyRoot, async () => {
    home.assign([`=other:other:${OTHER}:${OTHER}:HOME:::`]);
    chownSync(join(home.path, 'run'), home.uid, home.gid);
    await start(['child'], home.uid);
    assert.deepEqual(await deliver('other@x'), {
      letter: 'Z',
      text: `Unable to deliver as other (uid 1) while running as uid ${home.uid}; run hub-lspawn as root. (#4.3.0)\n`,
    });
  });

  it('leaves a temporary outcome when it is killed in the middle', async () => {
    home.put('.qmail-wait', '|echo $$ > started; exec sleep 1000\n');
    await start(['child']);
    const delivered = deliver('joe-wait@x');
    await home.untilWritten('started');
    helper!.kill('SIGKILL');
    await once(helper!, 'exit');
    assert.match((await delivered).text, /^Lost hub-lspawn/);
    process.kill(Number(home.read('started')), 'SIGKILL');
    assert.equal((await deliver('joe@x')).letter, 'K');
  });

  it('lets what runs end when it is told to stop', async () => {
    home.put('.qmail-wait', '|echo $$ > started; until test -s go; do sleep 0.05; done; cat go\n');
    await start(['child']);
    const delivered = deliver('joe-wait@x');
    await home.untilWritten('started');
    helper!.kill('SIGTERM');
    home.put('go', 'went on\n');
    assert.deepEqual(await delivered, { letter: 'K', text: 'went on\ndid 0+0+1\n' });
    assert.deepEqual(await once(helper!, 'exit'), [0, null]);
  });

  it('answers nothing to what is no whole request', async () => {
    await start(['child']);
    for (const bytes of [
      '',
      'GET / HTTP/1.1\r\n\r\n',
      '5\0joe@x\0\0four',
      '3\0joe@x\0\0four',
      'x'.repeat(200_000),
    ]) {
      const socket = connect(join(home.path, 'run/lspawn-own.sock'));
      let answer = '';
      socket.on('data', (piece) => {
        answer += piece;
      });
      socket.on('error', () => undefined);
      socket.end(bytes);
      await new Promise((resolve) => socket.on('close', resolve));
      assert.equal(answer, '', JSON.stringify(bytes.slice(0, 20)));
    }
    assert.throws(() => home.read('Mailbox'), { code: 'ENOENT' });
  });
});

describe('hub-lspawn, run by root', onlyRoot, () => {
  const socket = () => join(home.path, 'run/lspawn.sock');
  beforeEach(() => chownSync(join(home.path, 'run'), OTHER, OTHER));

  it('listens for the owner of the folder, becomes the user, and leaves no group behind', async () => {
    home.put('.qmail-id', '|id -u; id -g; id -G; umask; pwd\n');
    await start([]);
    const { uid, mode } = lstatSync(socket());
    assert.deepEqual([uid, mode & 0o777], [OTHER, 0o700]);
    const { uid: id, gid, folder } = home;
    const printed = `${id}\n${gid}\n${gid}\n0077\n${folder}\ndid 0+0+1\n`;
    assert.deepEqual(await deliver('joe-id@x'), { letter: 'K', text: printed });
    assert.deepEqual(runToEnd(), [
      111,
      `hub-lspawn: fatal: Cannot listen on ${socket()}: another hub-lspawn does\n`,
    ]);
  });

  it('delivers nothing while others than root can change what it goes by', async () => {
    await start([]);
    for (const path of ['users/cdb', 'users', 'control', 'bin', '']) {
      const whole = join(home.path, path);
      const { mode } = lstatSync(whole);
      chmodSync(whole, mode | 0o020);
      assert.match((await deliver('joe@x')).text, /^Unable to trust \S+: not only root can change it/, path);
      chmodSync(whole, mode);
      chownSync(whole, OTHER, 0);
      assert.match((await deliver('joe@x')).text, /^Unable to trust/, path);
      chownSync(whole, 0, 0);
    }
    assert.equal((await deliver('joe@x')).letter, 'K');
  });
});

describe('hub-lspawn', () => {
  it('refuses words that it does not know, and a home without the folder for its socket', async () => {
    assert.deepEqual(runToEnd('--help'), [100, 'hub-lspawn: usage: hub-lspawn [ child ]\n']);
    assert.equal(runToEnd('child', 'x')[0], 100);
    rmSync(join(home.path, 'run'), { recursive: true });
    const [code, said] = runToEnd();
    assert.equal(code, 111);
    assert.match(said, /^hub-lspawn: fatal: Cannot find .*run, which the hub makes when it starts: /);
  });
});
