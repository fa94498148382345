import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { startFakeServer } from '../../test/support/fake-qmqp-server.ts';
import { bytesOf } from '../core/bytes/bytes.ts';
import { openQueueProgram } from './open-queue-program.ts';

const ENVELOPE = bytesOf('Fa@b\0Tc@d\0\0');
const RECORD = 'cat >fd0; cat <&1 >fd1; printf %s "$0" >argv0; pwd >cwd; printf %s "$MARK" >mark';

let home: string;

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'queue-program-')));
  mkdirSync(join(home, 'bin'));
  mkdirSync(join(home, 'control'));
});
afterEach(() => rmSync(home, { recursive: true }));

function install(path: string, script: string): void {
  writeFileSync(join(home, path), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

function open(env: { [name: string]: string } = {}, customText = false) {
  const whole = { PATH: '/usr/bin:/bin', ...env };
  return openQueueProgram({ home, ownBin: join(home, 'own'), env: whole, customText });
}

const read = (name: string) => readFileSync(join(home, name), 'latin1');

test('openQueueProgram() starts bin/qmail-queue in the home and hands over message and envelope', async () => {
  install('bin/qmail-queue', `${RECORD}; exit 31`);
  const queue = open({ MARK: 'kept' });
  await queue.write(bytesOf('one '));
  await queue.write(bytesOf('two'));
  const { exit, writeFailed, pid, customText } = await queue.finish(ENVELOPE);
  assert.deepEqual([exit, writeFailed, customText], [31, false, undefined]);
  assert.ok(pid > 0 && pid !== process.pid);
  assert.deepEqual(['fd0', 'fd1', 'argv0', 'cwd', 'mark'].map(read), [
    'one two',
    'Fa@b\0Tc@d\0\0',
    'bin/qmail-queue',
    `${home}\n`,
    'kept',
  ]);
});

test('openQueueProgram() takes $QMAILQUEUE, relative to the home and without a search in PATH', async () => {
  install('bin/qmail-queue', 'exit 1');
  install('cat', `${RECORD}; exit 0`);
  assert.equal((await open({ QMAILQUEUE: 'cat' }).finish(ENVELOPE)).exit, 0);
  assert.equal(read('fd1'), 'Fa@b\0Tc@d\0\0');
  assert.equal((await open({ QMAILQUEUE: join(home, 'cat') }).finish(ENVELOPE)).exit, 0);
  assert.equal((await open({ QMAILQUEUE: 'sh' }).finish(ENVELOPE)).exit, 120);
});

test('openQueueProgram() says 120 for what cannot be executed', async () => {
  install('bin/plain', '');
  chmodSync(join(home, 'bin/plain'), 0o644);
  for (const QMAILQUEUE of ['', 'bin/missing', 'bin', 'bin/plain', '/'])
    assert.equal((await open({ QMAILQUEUE }).finish(ENVELOPE)).exit, 120, QMAILQUEUE);
  assert.equal((await open().finish(ENVELOPE)).exit, 120);
});

test('openQueueProgram() says 61 when the home cannot be entered', async () => {
  const queue = openQueueProgram({ home: `${home}/none`, ownBin: home, env: {}, customText: false });
  await queue.write(bytesOf('x'));
  assert.equal((await queue.finish(ENVELOPE)).exit, 61);
});

test('openQueueProgram() reports a program that was killed', async () => {
  install('bin/qmail-queue', 'kill -9 $$');
  assert.equal((await open().finish(ENVELOPE)).exit, 'signal');
});

test('openQueueProgram() waits when the program reads slowly and loses nothing', async () => {
  install('bin/qmail-queue', 'head -c 1 >fd0; cat >>fd0; cat <&1 >fd1');
  const queue = open();
  const buffer = new Uint8Array(100_000);
  let waited = 0;
  for (let i = 0; i < 50; i++) {
    buffer.fill(i);
    const pending = queue.write(buffer);
    if (pending !== undefined) waited++;
    await pending;
  }
  assert.deepEqual((await queue.finish(ENVELOPE)).writeFailed, false);
  assert.ok(waited > 0);
  const wanted = Buffer.concat(Array.from({ length: 50 }, (_, i) => new Uint8Array(100_000).fill(i)));
  assert.ok(readFileSync(join(home, 'fd0')).equals(wanted));
});

test('openQueueProgram() remembers that the program did not take the whole message', async () => {
  install('bin/qmail-queue', 'exit 0');
  const queue = open();
  for (let i = 0; i < 50; i++) await queue.write(new Uint8Array(100_000));
  const { exit, writeFailed } = await queue.finish(ENVELOPE);
  assert.deepEqual([exit, writeFailed], [0, true]);
});

test('openQueueProgram() does not call a write failed that the kernel took', async () => {
  install('bin/qmail-queue', 'cat >fd0; exit 0');
  const queue = open();
  await queue.write(bytesOf('message'));
  const { exit, writeFailed } = await queue.finish(ENVELOPE);
  assert.deepEqual([exit, writeFailed], [0, false]);
});

test('openQueueProgram() gives up without a complete envelope, and not before the program has ended', async () => {
  install('bin/qmail-queue', RECORD);
  const queue = open();
  await queue.write(bytesOf('half'));
  await queue.abort();
  assert.equal(read('fd0'), 'half');
  assert.equal(read('fd1'), '');
});

test('openQueueProgram() reads a text from descriptor 6 on request, and opens no other descriptor', async () => {
  const list = 'for n in 3 4 5 6 7; do [ -e /proc/$$/fd/$n ] && printf $n; done >open';
  install('bin/qmail-queue', `${list}; cat >fd0; cat <&1 >fd1; echo "DSpam says no" >&6; exit 82`);
  const { exit, customText } = await open({}, true).finish(ENVELOPE);
  assert.deepEqual([exit, customText], [82, 'DSpam says no\n']);
  assert.equal(read('open'), '6');
});

test('openQueueProgram() submits by itself when the queue program is our own QMQP client', async () => {
  mkdirSync(join(home, 'own'));
  install('own/qmail-qmqpc', 'touch started');
  symlinkSync(join(home, 'own/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
  const server = await startFakeServer('127.0.0.1', 0, [['read_all'], ['send', '2:Kx,'], ['close']]);
  try {
    const queue = open({ QMQPSERVERS: `qmqp://127.0.0.1:${server.port}` });
    const buffer = bytesOf('one ');
    await queue.write(buffer);
    buffer.set(bytesOf('two '));
    await queue.write(buffer);
    assert.deepEqual(await queue.finish(ENVELOPE), { exit: 0, writeFailed: false, pid: process.pid });
    assert.equal(server.received.join(), '23:8:one two ,3:a@b,3:c@d,,');
    assert.throws(() => read('started'));
  } finally {
    await server.stop();
  }
});

test('openQueueProgram() starts our own QMQP client when $QMAILQUEUE names it', async () => {
  mkdirSync(join(home, 'own'));
  install('own/qmail-qmqpc', 'touch started');
  await open({ QMAILQUEUE: 'own/qmail-qmqpc' }).finish(ENVELOPE);
  assert.equal(read('started'), '');
});

test('openQueueProgram() judges its own client as the program is judged: servers first, envelope next', async () => {
  mkdirSync(join(home, 'own'));
  install('own/qmail-qmqpc', '');
  symlinkSync(join(home, 'own/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
  const bad = bytesOf('x');
  assert.equal((await open().finish(bad)).exit, 55);
  writeFileSync(join(home, 'control/qmqpservers'), '');
  assert.equal((await open().finish(bad)).exit, 91);
  assert.equal((await open().finish(ENVELOPE)).exit, 55);
  const abandoned = open();
  await abandoned.write(bad);
  await abandoned.abort();
});
