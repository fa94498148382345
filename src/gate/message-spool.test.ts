import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { type Files, NODE_FILES, type OpenFile } from '../host/files.ts';
import { MessageSpool, SpooledMessage } from './message-spool.ts';

let folder: string;
let opened: string[];
let closed: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'message-spool-'));
  opened = [];
  closed = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The disk, with a note of what is opened, and with room for so many bytes. */
function files(room = Number.POSITIVE_INFINITY): Files {
  return {
    ...NODE_FILES,
    async open(path, mode) {
      const file = await NODE_FILES.open(path, mode);
      opened.push((statSync(path).mode & 0o777).toString(8));
      return limited(file, room);
    },
  };
}

function limited(file: OpenFile, room: number): OpenFile {
  return {
    write: (bytes, position) =>
      position + bytes.length > room
        ? Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
        : file.write(bytes, position),
    read: (position, length) => file.read(position, length),
    flush: () => file.flush(),
    close: () => {
      closed++;
      return file.close();
    },
  };
}

async function contentOf(message: SpooledMessage): Promise<string | undefined> {
  const stored = await message.end();
  if (stored === undefined) return undefined;
  return Buffer.from(stored instanceof Uint8Array ? stored : await stored.read(0, stored.length)).toString(
    'latin1',
  );
}

/** Room that is left. */
function roomOf(spool: MessageSpool): number {
  let room = 0;
  while (spool.memory.take(1)) room++;
  spool.memory.give(room);
  return room;
}

test('SpooledMessage keeps a small message in memory until it is discarded', async () => {
  const spool = new MessageSpool({ folder, messageBytesMax: 10, memoryBytesMax: 100, files: files() });
  const message = new SpooledMessage(spool);
  const buffer = bytesOf('01234');
  assert.equal(message.write(buffer), undefined);
  buffer.fill(0);
  assert.equal(message.write(bytesOf('56789')), undefined);
  assert.equal(await contentOf(message), '0123456789');
  assert.deepEqual([roomOf(spool), opened], [90, []]);
  await message.discard();
  assert.equal(roomOf(spool), 100);
});

test('SpooledMessage moves a large message to a file of this user that has no name, and closes it', async () => {
  const spool = new MessageSpool({ folder, messageBytesMax: 10, memoryBytesMax: 100, files: files() });
  const message = new SpooledMessage(spool);
  void message.write(bytesOf('01234'));
  await message.write(bytesOf('567890'));
  await Promise.all(['1', '', '234'].map((text) => message.write(bytesOf(text))));
  assert.deepEqual([opened, readdirSync(folder)], [['600'], []]);
  for (let i = 0; i < 2; i++) assert.equal(await contentOf(message), '012345678901234');
  const stored = await message.end();
  assert.ok(!(stored instanceof Uint8Array));
  assert.equal(Buffer.from((await stored?.read(9, 3)) ?? '').toString('latin1'), '901');
  assert.equal(roomOf(spool), 100);
  await message.discard();
  assert.deepEqual([roomOf(spool), closed], [100, 1]);
});

test('SpooledMessage uses files when all messages together need too much memory', async () => {
  const spool = new MessageSpool({ folder, messageBytesMax: 10, memoryBytesMax: 12, files: files() });
  const [first, second, third] = [1, 2, 3].map(() => new SpooledMessage(spool)) as [
    SpooledMessage,
    SpooledMessage,
    SpooledMessage,
  ];
  void first.write(bytesOf('0123456'));
  void second.write(bytesOf('abc'));
  await second.write(bytesOf('def'));
  assert.deepEqual([await contentOf(second), opened.length, roomOf(spool)], ['abcdef', 1, 5]);
  assert.equal(third.write(bytesOf('xyz')), undefined);
  for (const message of [first, second, third]) await message.discard();
  assert.equal(roomOf(spool), 12);
});

for (const [name, room, where] of [
  ['a disk that is full at once', 4, ''],
  ['a disk that becomes full', 12, ''],
  ['a folder that does not exist', 99, '/missing'],
] as const) {
  test(`SpooledMessage says that it has nothing after ${name}, and leaves nothing behind`, async () => {
    const spool = new MessageSpool({
      folder: folder + where,
      messageBytesMax: 5,
      memoryBytesMax: 100,
      files: files(room),
    });
    const message = new SpooledMessage(spool);
    for (const text of ['01234', '56789', 'abcde', '']) await message.write(bytesOf(text));
    assert.equal(await contentOf(message), undefined);
    assert.deepEqual([roomOf(spool), closed, readdirSync(folder)], [100, opened.length, []]);
    await message.discard();
    assert.deepEqual([roomOf(spool), closed], [100, opened.length]);
  });
}

test('SpooledMessage can be discarded while a write is under way', async () => {
  const spool = new MessageSpool({ folder, messageBytesMax: 5, memoryBytesMax: 100, files: files() });
  const message = new SpooledMessage(spool);
  void message.write(bytesOf('0123456789'));
  await message.discard();
  assert.deepEqual([opened.length, closed, roomOf(spool), readdirSync(folder)], [1, 1, 100, []]);
});
