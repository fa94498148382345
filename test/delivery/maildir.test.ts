// Delivery to Maildirs on the real file system, and on one that fails.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { formatMessageName } from '../../src/core/format/maildir-name.ts';
import { FolderFlusher } from '../../src/delivery/folder-flusher.ts';
import { type MaildirFiles, MaildirTransport, NODE_MAILDIR_FILES } from '../../src/delivery/maildir.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';

async function withHome(check: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'maildir-'));
  try {
    await check(home);
  } finally {
    await rm(home, { recursive: true });
  }
}

function transport(home: string, files?: MaildirFiles): MaildirTransport {
  const settings = { home, clock: SYSTEM_CLOCK, host: 'mx.example' };
  return new MaildirTransport(files ? { ...settings, files } : settings);
}

let messages = 0;

/** A delivery; without an identity it is one of a message of its own, accepted now. */
const mail = (
  address: string,
  message = 'Subject: x\n\nbody\n',
  sender = 'joe@a.example',
  identity = { birthMs: Date.now(), message: ++messages, recipient: 0 },
) => ({
  identity,
  address: bytesOf(address),
  sender: bytesOf(sender),
  message: bytesOf(message),
});

async function contents(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).sort();
  return Promise.all(names.map((name) => readFile(join(folder, name), 'latin1')));
}

test('deliver() stores the message below its two fields', () =>
  withHome(async (home) => {
    const outcome = await transport(home).deliver(mail('Ann@Far.Example', 'x\r\n\0\xff no end'));
    assert.deepEqual(outcome, { letter: 'K', text: 'did 1+0+0\n' });
    const box = join(home, 'mail/far.example/Ann');
    assert.deepEqual(await contents(join(box, 'new')), [
      'Return-Path: <joe@a.example>\nDelivered-To: Ann@Far.Example\nx\r\n\0\xff no end',
    ]);
    assert.deepEqual(await readdir(join(box, 'tmp')), []);
    assert.deepEqual(await readdir(join(box, 'cur')), []);
    const [name] = await readdir(join(box, 'new'));
    assert.match(name!, /^\d{10}\.M\d+Q\d+R0\.mx\.example$/);
    assert.equal((await stat(join(box, 'new', name!))).mode & 0o777, 0o600);
    assert.equal((await stat(box)).mode & 0o777, 0o700);
  }));

test('deliver() keeps the fields on their lines and quotes the sender', () =>
  withHome(async (home) => {
    await transport(home).deliver(mail('a\nb@h', 'm', 'jo\ne@a'));
    await transport(home).deliver(mail('plain@h', 'm', ''));
    assert.deepEqual(await contents(join(home, 'mail/h/a%0Ab/new')), [
      'Return-Path: <"jo\\_e"@a>\nDelivered-To: a_b@h\nm',
    ]);
    assert.deepEqual(await contents(join(home, 'mail/h/plain/new')), [
      'Return-Path: <>\nDelivered-To: plain@h\nm',
    ]);
  }));

test('deliver() never leaves the folder of mailboxes', () =>
  withHome(async (home) => {
    for (const address of ['../../x@h', 'x@..', 'x@../../../y', '.@.', 'a/b@c/d', '..@..']) {
      assert.equal((await transport(home).deliver(mail(address))).letter, 'K');
    }
    assert.deepEqual(await readdir(home), ['mail']);
    assert.deepEqual((await readdir(join(home, 'mail'))).sort(), [
      '%2E',
      '%2E.',
      '%2E.%2F..%2F..%2Fy',
      'c%2Fd',
      'h',
    ]);
  }));

test('deliver() gives up on a name that no file can have, and drops mail to nobody', () =>
  withHome(async (home) => {
    const outcome = await transport(home).deliver(mail(`${'x'.repeat(201)}@h`));
    assert.deepEqual(outcome, { letter: 'D', text: 'Sorry, no mailbox can have that name. (#5.1.3)\n' });
    assert.deepEqual(await transport(home).deliver(mail('@h')), { letter: 'K', text: '' });
    assert.deepEqual(await readdir(home), []);
  }));

test('deliver() gives every message its own file', () =>
  withHome(async (home) => {
    const local = transport(home);
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, i) => local.deliver(mail(`box${i % 3}@h`, `message ${i}\n`))),
    );
    assert.ok(outcomes.every(({ letter }) => letter === 'K'));
    const all = await Promise.all([0, 1, 2].map((i) => contents(join(home, `mail/h/box${i}/new`))));
    assert.equal(new Set(all.flat()).size, 200);
  }));

test('deliver() makes a mailbox again that was removed', () =>
  withHome(async (home) => {
    const local = transport(home);
    await local.deliver(mail('a@h'));
    await rm(join(home, 'mail'), { recursive: true });
    assert.equal((await local.deliver(mail('a@h'))).letter, 'K');
    assert.equal((await contents(join(home, 'mail/h/a/new'))).length, 1);
  }));

const EARLIER = { birthMs: Date.now() - 60_000, message: 7, recipient: 1 };

test('deliver() recognises a message that the process before stored without recording it', () =>
  withHome(async (home) => {
    const box = join(home, 'mail/h/a');
    assert.equal((await transport(home).deliver(mail('a@h', 'm', '', EARLIER))).letter, 'K');
    assert.equal((await transport(home).deliver(mail('a@h', 'm', '', EARLIER))).letter, 'K');
    assert.equal((await contents(join(box, 'new'))).length, 1);
    // A mail reader has moved it meanwhile.
    const [name] = await readdir(join(box, 'new'));
    await rename(join(box, 'new', name!), join(box, 'cur', `${name}:2,S`));
    assert.equal((await transport(home).deliver(mail('a@h', 'm', '', EARLIER))).letter, 'K');
    assert.deepEqual(await readdir(join(box, 'new')), []);
    const other = { ...EARLIER, recipient: 2 };
    assert.equal((await transport(home).deliver(mail('a@h', 'm', '', other))).letter, 'K');
    assert.equal((await contents(join(box, 'new'))).length, 1);
  }));

test('deliver() replaces what a cut attempt left in tmp/', () =>
  withHome(async (home) => {
    const local = transport(home);
    await local.deliver(mail('a@h', 'first'));
    const box = join(home, 'mail/h/a');
    const name = formatMessageName(EARLIER, 'mx.example');
    await writeFile(join(box, 'tmp', name), 'ha');
    assert.equal((await local.deliver(mail('a@h', 'half', '', EARLIER))).letter, 'K');
    assert.match(await readFile(join(box, 'new', name), 'latin1'), /\nhalf$/);
    assert.deepEqual(await readdir(join(box, 'tmp')), []);
  }));

/** The real file system, but one operation fails with the code; all operations are noted in order. */
function failing(fail: string, code: string, calls: string[] = []): MaildirFiles {
  const step = async (name: string, path: string) => {
    calls.push(`${name} ${path.replace(/^.*\/mail\b/, 'mail').replace(/\d+\.M\S*/, 'NAME')}`);
    if (name === fail) throw Object.assign(new Error(code), { code });
  };
  const real = NODE_MAILDIR_FILES;
  return {
    list: (path) => step('list', path).then(() => real.list(path)),
    makeFolder: (path) => step('makeFolder', path).then(() => real.makeFolder(path)),
    remove: (path) => step('remove', path).then(() => real.remove(path)),
    link: (from, to) => step('link', to).then(() => real.link(from, to)),
    flushFolder: (path) =>
      step(path.endsWith('/new') ? 'flush-new' : 'flush', path).then(() => real.flushFolder(path)),
    open: async (path, mode) => {
      await step('open', path);
      const file = await real.open(path, mode);
      return {
        read: (position, length) => file.read(position, length),
        close: () => file.close(),
        write: (bytes, position) => step('write', path).then(() => file.write(bytes, position)),
        flush: () => step('flush-file', path).then(() => file.flush()),
      };
    },
  };
}

for (const [operation, code] of [
  ['write', 'ENOSPC'],
  ['flush-file', 'EIO'],
  ['open', 'EACCES'],
  ['link', 'EDQUOT'],
  ['flush-new', 'EIO'],
  ['flush', 'EIO'],
  ['makeFolder', 'EROFS'],
] as const) {
  test(`deliver() is temporary and leaves no file when ${operation} fails with ${code}`, () =>
    withHome(async (home) => {
      const outcome = await transport(home, failing(operation, code)).deliver(mail('a@h'));
      assert.deepEqual(outcome, {
        letter: 'Z',
        text: `Temporary error on maildir delivery: ${code}. (#4.3.0)\n`,
      });
      for (const part of ['tmp', 'new'])
        assert.deepEqual(await readdir(join(home, 'mail/h/a', part)).catch(() => []), []);
    }));
}

test('deliver() flushes the file before its name, and the name and folders before success', () =>
  withHome(async (home) => {
    const calls: string[] = [];
    await transport(home, failing('', '', calls)).deliver(mail('a@h'));
    const at = (call: string) => calls.indexOf(call);
    assert.ok(at('write mail/h/a/tmp/NAME') < at('flush-file mail/h/a/tmp/NAME'));
    assert.ok(at('flush-file mail/h/a/tmp/NAME') < at('link mail/h/a/new/NAME'));
    assert.ok(at('link mail/h/a/new/NAME') < at('flush-new mail/h/a/new'));
    for (const folder of ['mail/h/a', 'mail/h', 'mail', home]) assert.ok(at(`flush ${folder}`) >= 0, folder);
  }));

test('FolderFlusher lets nobody share a flush that began before they came', async () => {
  const ends: (() => void)[] = [];
  const flusher = new FolderFlusher(() => new Promise((resolve) => ends.push(resolve)));
  let done = '';
  const first = flusher.flush('a').then(() => (done += '1'));
  const second = flusher.flush('a').then(() => (done += '2'));
  const third = flusher.flush('a').then(() => (done += '3'));
  assert.equal(ends.length, 1);
  ends[0]!();
  await first;
  assert.equal(done, '1');
  await new Promise(setImmediate);
  assert.equal(ends.length, 2);
  ends[1]!();
  await Promise.all([second, third]);
  assert.equal(done, '123');
});

test('FolderFlusher tells only those who shared a flush that it failed', async () => {
  let count = 0;
  const flusher = new FolderFlusher(async () => {
    await new Promise(setImmediate);
    if (++count === 1) throw new Error('disk');
  });
  const results = await Promise.allSettled([flusher.flush('a'), flusher.flush('a'), flusher.flush('b')]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  );
});

test('deliver() refuses a message that was in the mailbox before, by its own line in the header alone', () =>
  withHome(async (home) => {
    const maildirs = transport(home);
    const line = 'Delivered-To: ann@far.example\n';
    const { letter, text } = await maildirs.deliver(mail('ann@far.example', `A: b\n${line}\nbody`));
    assert.equal(letter, 'D');
    assert.equal(text, 'This message is looping: it already has my Delivered-To line. (#5.4.6)\n');
    const others = [line.replace('ann', 'Ann'), line.replace('\n', ' \n'), `\n${line}`, line.trimEnd()];
    for (const other of others)
      assert.equal((await maildirs.deliver(mail('ann@far.example', other))).letter, 'K', other);
    assert.equal((await contents(join(home, 'mail/far.example/ann/new'))).length, others.length);
  }));
