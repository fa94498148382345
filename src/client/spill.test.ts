// Keeping messages and sending them later, in a temporary folder with a server that the tests play. What only root can
// arrange is left out where the tests run as somebody else.

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { spillIfNeeded } from './spill.ts';
import { type FlushTools, flushSpilled, type SubmitEnd } from './spill-flush.ts';
import { listSpilled, openSpillFolder, ownUid } from './spill-folder.ts';
import { hubNumber } from './spill-hub.ts';
import { removeAbandoned } from './spilled-files.ts';

const ENVELOPE = bytesOf('Fa@b\0Tc@d\0\0');
const { accepted, refused, serverTemporary, connectTimeout, connectRefused, connectionLost } = QUEUE_EXIT;
const DAY = 86_400;
const SERVER = { host: '192.0.2.1', port: 628, hub: 'main' };
const HUB = hubNumber(SERVER)!;

let home: string;
let shared: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'spill-'));
  shared = join(home, 'spill');
  mkdirSync(join(home, 'control'));
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  control('spilldir', 'spill');
});
afterEach(() => rmSync(home, { recursive: true }));

function control(name: string, value: string): void {
  writeFileSync(join(home, 'control', name), `${value}\n`);
}

function spill(text: string, exit: number = connectRefused) {
  return spillIfNeeded({
    home,
    exit,
    isUnknown: exit === connectionLost,
    server: SERVER,
    message: [bytesOf(text)],
    envelope: ENVELOPE,
  });
}

const own = () => join(shared, String(ownUid()));
const files = () => readdirSync(own()).sort();

describe('spillIfNeeded()', () => {
  it('keeps a message that no server took, for its user alone', () => {
    for (const exit of [serverTemporary, connectTimeout, connectRefused, connectionLost]) {
      const { exit: now, notice } = spill(`exit ${exit}\n`, exit);
      assert.equal(now, accepted, String(exit));
      assert.match(notice ?? '', /waits in /);
    }
    assert.equal(lstatSync(own()).mode & 0o7777, 0o700);
    const kept = files();
    assert.equal(kept.length, 4);
    for (const [i, file] of kept.entries()) {
      assert.equal(lstatSync(join(own(), file)).mode & 0o7777, 0o600);
      assert.equal(file.endsWith(`.h${HUB}`), i === 3, 'only the last may be with a server');
    }
    assert.equal(readFileSync(join(own(), kept[1]!), 'latin1'), 'Fa@b\0Tc@d\0\0exit 72\n');
  });

  it('leaves every other end as it is', () => {
    for (const exit of [accepted, refused, 51, 54, 55, 56, 61, 81, 91])
      assert.deepEqual(spill('x', exit), { exit });
    assert.deepEqual(readdirSync(shared), []);
  });

  it('does nothing without control/spilldir, or with an empty one', () => {
    control('spilldir', '');
    assert.deepEqual(spill('x'), { exit: connectRefused });
    rmSync(join(home, 'control/spilldir'));
    assert.deepEqual(spill('x'), { exit: connectRefused });
  });

  it('keeps no more messages and bytes than are allowed', () => {
    control('spillcount', '2');
    assert.deepEqual([spill('1').exit, spill('2').exit], [accepted, accepted]);
    const third = spill('3');
    assert.equal(third.exit, connectRefused);
    assert.match(third.notice ?? '', /spillcount/);
    control('spillcount', '100');
    control('spillbytes', '40');
    assert.equal(spill('four').exit, accepted, '12 + 12 + 15 bytes');
    assert.match(spill('').notice ?? '', /spillbytes/);
    assert.equal(files().length, 3);
  });

  for (const [name, spoil, reason] of [
    ['is not there', () => rmSync(shared, { recursive: true }), /does not exist; install -d/],
    ['lets users remove what others have there', () => chmodSync(shared, 0o777), /chmod 1777/],
    ['is a link', () => replaceByLink(shared), /symbolic link|no folder/],
    ['is a file', () => replaceByFile(shared), /no folder/],
    ['has a folder of ours that others may read', () => mkdirSync(own(), 0o755), /chmod 700/],
    ['has a link in place of our folder', () => symlinkSync(home, own()), /symbolic link|no folder/],
    [
      'has a link to nowhere in place of our folder',
      () => symlinkSync('nowhere', own()),
      /symbolic link|no folder/,
    ],
    ['has a file in place of our folder', () => writeFileSync(own(), ''), /no folder/],
  ] as const) {
    it(`refuses a folder that ${name}`, () => {
      spoil();
      const { exit, notice } = spill('x');
      assert.equal(exit, connectRefused);
      assert.match(notice ?? '', reason);
    });
  }

  const skip = ownUid() !== 0 && 'only root can give folders away';
  it('refuses a folder of somebody else', { skip }, () => {
    chownSync(shared, 4711, 4711);
    assert.match(spill('x').notice ?? '', /belongs to user 4711/);
    chownSync(shared, 0, 0);
    mkdirSync(own(), 0o700);
    chownSync(own(), 4711, 4711);
    assert.match(spill('x').notice ?? '', /belongs to user 4711/);
  });
});

function replaceByLink(path: string): void {
  rmSync(path, { recursive: true });
  mkdirSync(`${path}2`, 0o700);
  symlinkSync(`${path}2`, path);
}

function replaceByFile(path: string): void {
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
}

/** A flush against a server that answers by the text of the message; what it was given and what was said. */
async function flush(
  answer: (text: string) => number | SubmitEnd,
  { isReached = true, ...more }: Partial<FlushTools> & { readonly isReached?: boolean } = {},
) {
  const given: string[] = [];
  const said: string[] = [];
  const folder = openSpillFolder(shared, ownUid())!;
  const messages = listSpilled(folder)
    .filter(({ refusedAt }) => refusedAt === undefined)
    .map((name) => ({ folder, name }));
  const result = await flushSpilled(messages, {
    nowMs: Date.now,
    tell: (line) => said.push(line),
    bytesMax: 1000,
    submit: async (message, { sender, recipients }, { hub, beforeRequest }) => {
      assert.deepEqual([sender, ...recipients].map(textOf), ['a@b', 'c@d']);
      given.push(textOf(message) + (hub === undefined ? '' : ` for ${hub}`));
      if (isReached && !beforeRequest(HUB)) return { exit: QUEUE_EXIT.readError, isUnknown: false };
      const end = answer(textOf(message));
      return typeof end === 'number' ? { exit: end, isUnknown: end === connectionLost } : end;
    },
    ...more,
  });
  return { ...result, given, said };
}

describe('flushSpilled()', () => {
  it('sends all in the order of arrival and removes them', async () => {
    for (const text of ['1', '2', '3']) spill(text);
    const { given, ...result } = await flush(() => accepted);
    assert.deepEqual(given, ['1', '2', '3']);
    assert.deepEqual(result, { sent: 3, refused: 0, waiting: 0, said: [] });
    assert.deepEqual(files(), []);
  });

  it('stops when no server can be reached, and leaves everything as it was', async () => {
    for (const text of ['1', '2', '3']) spill(text);
    const before = files();
    for (const exit of [connectTimeout, connectRefused, QUEUE_EXIT.network, QUEUE_EXIT.configuration]) {
      const { given, sent, waiting } = await flush(() => exit, { isReached: false });
      assert.deepEqual({ given, sent, waiting }, { given: ['1'], sent: 0, waiting: 3 });
      assert.deepEqual(files(), before);
    }
  });

  it('asks a server that puts off messages for no more than three, and for others the next time', async () => {
    for (const text of ['1', '2', '3', '4', '5']) spill(text);
    const first = await flush(() => serverTemporary);
    assert.deepEqual(first.given, ['1', '2', '3']);
    const second = await flush((text) => (text > '3' ? accepted : serverTemporary), {
      nowMs: () => Date.now() + 9000,
    });
    assert.deepEqual(second.given, ['4', '5', '1', '2', '3']);
    assert.deepEqual([second.sent, second.waiting], [2, 3]);
    assert.equal(
      files().every((file) => /\.z\d+$/.test(file)),
      true,
    );
  });

  it('notes before it sends that a server may have a message, and goes on so after a kill', async () => {
    spill('1');
    await assert.rejects(
      flush(
        () => {
          // As if the process ended here: what is on the disk is what the next one finds.
          assert.match(files()[0] ?? '', /\.u\d+\.h\d+$/);
          throw new Killed();
        },
        { tell: () => assert.fail(new Killed()) },
      ),
      Killed,
    );
    const { given } = await flush(() => accepted);
    assert.deepEqual(given, [`1 for ${HUB}`]);
  });

  it('remembers an unknown end, also over later failures that are none', async () => {
    spill('1');
    await flush(() => connectionLost);
    assert.match(files()[0]!, /\.u\d+\.h\d+\.z\d+$/);
    assert.deepEqual((await flush(() => serverTemporary)).given, [`1 for ${HUB}`]);
    assert.deepEqual((await flush(() => connectRefused, { isReached: false })).given, [`1 for ${HUB}`]);
    assert.match(files()[0]!, /\.u\d+\.h\d+\.z\d+$/);
  });

  it('sends after a day what a server may have, and says that it may arrive twice', async () => {
    spill('1', connectionLost);
    const { given, said, sent } = await flush(() => accepted, { nowMs: () => Date.now() + (DAY + 1) * 1000 });
    assert.deepEqual([given, sent], [['1'], 1]);
    assert.match(said.join(), /may arrive twice/);
  });

  it('keeps what is refused for good, says so once, and goes on', async () => {
    for (const text of ['1', '2']) spill(text);
    const first = await flush((text) => (text === '1' ? refused : accepted));
    assert.deepEqual([first.sent, first.refused, first.waiting], [1, 1, 0]);
    assert.match(first.said.join(), /refused for good, and is kept there: mail server permanently rejected/);
    assert.match(files().join(), /^\S+\.u\d+\.h\d+\.x\d+$/);
    assert.deepEqual((await flush(() => accepted)).given, []);
  });

  it('sends nothing that is not as it was written, and nothing by a link', async () => {
    for (const text of ['1', '2', '3', '4']) spill(text);
    const [cut, spoilt, linked] = files().map((file) => join(own(), file));
    writeFileSync(cut!, 'Fa@b\0');
    writeFileSync(spoilt!, 'x'.repeat(lstatSync(spoilt!).size));
    rmSync(linked!);
    symlinkSync(join(home, 'control/spilldir'), linked!);
    const { given, sent, refused: damaged, said } = await flush(() => accepted);
    assert.deepEqual({ given, sent, damaged }, { given: ['4'], sent: 1, damaged: 3 });
    assert.equal(said.filter((line) => line.includes('damaged')).length, 3);
  });

  it('leaves what is too large, and does not give up on the rest', async () => {
    spill('1'.repeat(2000));
    spill('2');
    const { given, sent, waiting, said } = await flush(() => accepted);
    assert.deepEqual({ given, sent, waiting }, { given: ['2'], sent: 1, waiting: 1 });
    assert.match(said.join(), /spillbytes/);
  });

  it('sends nothing that cannot be marked, and goes on with the others', async () => {
    for (const text of ['1', '2']) spill(text);
    const [first] = files();
    const { given, sent, waiting } = await flush(
      (text) => {
        assert.equal(text, '2');
        return accepted;
      },
      { bytesMax: 1000, nowMs: () => removeOnce(join(own(), first!)) },
    );
    assert.deepEqual([given, sent, waiting], [['1', '2'], 1, 0]);
  });

  it('passes over what somebody removes meanwhile', async () => {
    for (const text of ['1', '2', '3']) spill(text);
    const second = join(own(), files()[1]!);
    const { given, sent } = await flush((text) => {
      if (text === '1') rmSync(second);
      return accepted;
    });
    assert.deepEqual([given, sent], [['1', '3'], 2]);
  });
});

/** The time; the file is removed before it is told. */
function removeOnce(path: string): number {
  rmSync(path, { force: true });
  return Date.now();
}

/** Stands for a process that ends. */
class Killed extends Error {}

describe('hubNumber()', () => {
  it('is the same for all lines of a hub, and for no other', () => {
    const lines = [
      SERVER,
      { host: '192.0.2.2', port: 1, hub: 'main' },
      { host: '192.0.2.2', port: 628, hub: '' },
      { host: '192.0.2.3', port: 628, hub: '' },
    ];
    const numbers = lines.map(hubNumber);
    assert.equal(numbers[0], numbers[1]);
    assert.equal(new Set(numbers).size, 3);
    assert.equal(hubNumber({ host: '192.0.2.2', port: 628 }), undefined);
  });
});

describe('removeAbandoned()', () => {
  it('removes files that were never finished, after some hours', () => {
    spill('1');
    const [kept] = files();
    writeFileSync(join(own(), 'tmp.new'), '');
    writeFileSync(join(own(), 'tmp.old'), '');
    const hoursAgo = (hours: number) => Date.now() / 1000 - hours * 3600;
    utimesSync(join(own(), 'tmp.old'), hoursAgo(13), hoursAgo(13));
    utimesSync(join(own(), kept!), hoursAgo(1000), hoursAgo(1000));
    removeAbandoned(openSpillFolder(shared, ownUid())!, Date.now());
    assert.deepEqual(files(), [kept, 'tmp.new']);
  });
});
