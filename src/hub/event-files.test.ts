// Events on disk: batches, days, bounds, what a crash leaves, and finding them again.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import type { Facts } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { EventFiles, type EventFilesOptions } from './event-files.ts';
import { findEventsOf, findMessagesOf } from './event-search.ts';

const DAY_MS = 86_400_000;

function createBench(t: TestContext, more: Partial<EventFilesOptions> = {}) {
  const home = mkdtempSync(join(tmpdir(), 'mini-qmail-events-'));
  t.after(() => rmSync(home, { recursive: true }));
  const folder = join(home, 'events');
  const clock = new ManualClock(Date.UTC(2026, 10, 22, 12));
  const told: [string, Facts][] = [];
  const log = { write: (event: string, facts: Facts) => void told.push([event, facts]) };
  const open = () =>
    new EventFiles({ folder, clock, log, lifetimeMs: 3 * DAY_MS, bytesMax: 1 << 20, ...more });
  return { home, folder, clock, told, open };
}

test('events wait for a second, then go to the file of the day, one JSON object a line', async (t) => {
  const { folder, clock, open } = createBench(t);
  const files = open();
  files.write('accepted', { id: 1, sender: bytesOf('a@b'), bytes: 3 });
  files.write('delivery.start', { id: 1 });
  files.write('hub.started', { home: '/x' });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(existsSync(folder), false);
  clock.advance(1000);
  await files.close();
  assert.deepEqual(readdirSync(folder), ['2026-11-22.0001.jsonl']);
  const path = join(folder, '2026-11-22.0001.jsonl');
  assert.equal(
    readFileSync(path, 'utf8'),
    '{"time":"2026-11-22T12:00:00.000Z","event":"accepted","id":1,"sender":"a@b","bytes":3}\n',
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('an address cannot split a record or make up another', async (t) => {
  const { folder, open } = createBench(t);
  const files = open();
  const evil = 'x\n{"time":"0","event":"bounce","id":2,"text":"\x1b[31m\u2028"}\r\n@b';
  files.write('accepted', { id: 1, sender: bytesOf(evil) });
  files.write('accepted', { id: 22, sender: bytesOf('"id":2,') });
  await files.close();
  assert.deepEqual(await findEventsOf(folder, [2]), []);
  const [event] = await findEventsOf(folder, [1]);
  assert.equal(event?.['sender'], evil.replace('\u2028', '('));
  assert.deepEqual(await findMessagesOf(folder, String(event?.['sender'])), [1]);
});

test('a restart goes on in the file of the day, behind what a crash has cut off', async (t) => {
  const { folder, open } = createBench(t);
  const first = open();
  first.write('accepted', { id: 1 });
  await first.close();
  appendFileSync(join(folder, '2026-11-22.0001.jsonl'), '{"time":"2026-11-22T12:00:00.000Z","event":"acc');
  const second = open();
  second.write('accepted', { id: 2 });
  await second.close();
  assert.equal(readdirSync(folder).length, 1);
  const events = await findEventsOf(folder, [1, 2]);
  assert.deepEqual(
    events.map(({ id }) => id),
    [1, 2],
  );
});

test('files of days that are over go after their lifetime, and nothing else does', async (t) => {
  const { folder, clock, open } = createBench(t);
  const files = open();
  for (let day = 0; day < 8; day++) {
    files.write('accepted', { id: day + 1 });
    await files.close();
    clock.advance(DAY_MS);
  }
  files.write('accepted', { id: 99 });
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  await files.close();
  const names = readdirSync(folder).sort();
  assert.ok(names.includes('notes.txt'));
  assert.ok(names.includes('2026-11-30.0001.jsonl'), names.join());
  assert.ok(names.length === 5 && names.includes('2026-11-27.0001.jsonl'), names.join());
});

test('all files together keep to their bound, the oldest go first', async (t) => {
  const { folder, open } = createBench(t, { bytesMax: 16_000 });
  const files = open();
  for (let id = 1; id <= 400; id++) {
    files.write('delivery.success', { id, text: 'x'.repeat(200) });
    if (id % 4 === 0) await files.close();
  }
  const names = readdirSync(folder).sort();
  const bytes = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  assert.ok(names.length > 2 && bytes <= 18_000 && bytes > 8000, `${names.length} files, ${bytes} bytes`);
  assert.equal((await findEventsOf(folder, [1])).length, 0);
  assert.equal((await findEventsOf(folder, [400])).length, 1);
});

test('trouble is told once, and events are kept again when it is over', async (t) => {
  const { folder, home, told, open } = createBench(t);
  writeFileSync(folder, 'in the way');
  const files = open();
  for (let id = 1; id <= 3; id++) {
    files.write('accepted', { id });
    await files.close();
  }
  rmSync(folder);
  files.write('accepted', { id: 4 });
  await files.close();
  assert.deepEqual(
    told.map(([event]) => event),
    ['events.trouble'],
  );
  assert.equal((await findEventsOf(join(home, 'events'), [4])).length, 1);
});

test('messages are found by sender, recipient and Message-ID, and events of many by number, across pieces', async (t) => {
  const { folder, open } = createBench(t, { bytesMax: 1 << 30 });
  const files = open();
  for (let id = 1; id <= 9000; id++) {
    files.write('accepted', { id, sender: bytesOf(`s${id % 3}@a`), messageId: bytesOf(`<m${id}@a>`) });
    files.write('delivery.success', { id, recipient: bytesOf(`r${id}@b`), text: 'y'.repeat(100) });
  }
  files.write('bounce', { id: 5, bounceId: 9001 });
  await files.close();
  assert.equal((await findMessagesOf(folder, 's1@a')).length, 3000);
  assert.deepEqual(await findMessagesOf(folder, 'r7000@b'), [7000]);
  assert.deepEqual(await findMessagesOf(folder, 'm8999@a'), [8999]);
  assert.deepEqual(await findMessagesOf(folder, '<m8999@a>'), [8999]);
  assert.deepEqual(await findMessagesOf(folder, 'y'), []);
  assert.equal((await findEventsOf(folder, [1, 4500, 9000])).length, 6);
  assert.deepEqual(
    (await findEventsOf(folder, [9001])).map(({ event, id }) => [event, id]),
    [['bounce', 5]],
  );
  assert.deepEqual(await findEventsOf(join(folder, 'none'), [1]), []);
});
