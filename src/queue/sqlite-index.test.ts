// What is particular to the index: databases of the layout before destinations, and how jobs are found.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { inGroups } from './index-runner.ts';
import type { IndexRow } from './message-index.ts';
import { COUNT_MESSAGES, SqliteIndex, WAITING } from './sqlite-index.ts';

/** The tables as they were when a message had one due time for each channel. */
const OLD_LAYOUT = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE message (
  id INTEGER PRIMARY KEY, birth REAL NOT NULL, size INTEGER NOT NULL, sender BLOB NOT NULL, body BLOB,
  local_due REAL, remote_due REAL
);
CREATE INDEX message_local_due ON message (local_due, id) WHERE local_due IS NOT NULL;
CREATE INDEX message_remote_due ON message (remote_due, id) WHERE remote_due IS NOT NULL;
CREATE INDEX message_finished ON message (id) WHERE local_due IS NULL AND remote_due IS NULL;
CREATE TABLE recipient (
  message INTEGER NOT NULL, position INTEGER NOT NULL, channel INTEGER NOT NULL, state INTEGER NOT NULL, address BLOB NOT NULL,
  PRIMARY KEY (message, position)
) WITHOUT ROWID;
CREATE TABLE failure (
  serial INTEGER PRIMARY KEY, message INTEGER NOT NULL, position INTEGER NOT NULL, report TEXT NOT NULL
);
CREATE INDEX failure_message ON failure (message, serial);
INSERT INTO meta VALUES ('flushed_through', 17);
INSERT INTO message VALUES (5, 1000, 4, x'7340', x'626f6479', 3000, 2000), (6, 1000, 1, x'', x'78', NULL, NULL);
INSERT INTO recipient VALUES
  (5, 0, 0, 0, CAST('l@here' AS BLOB)), (5, 1, 1, 0, CAST('a@Far' AS BLOB)), (5, 2, 1, 1, CAST('b@far' AS BLOB)),
  (5, 3, 1, 0, CAST('c@near' AS BLOB)), (5, 4, 1, 0, CAST('d@fAR' AS BLOB)), (6, 0, 1, 2, CAST('no@far' AS BLOB));
INSERT INTO failure VALUES (1, 6, 0, 'gone');
`;

async function withFolder(check: (path: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'index-'));
  try {
    check(join(folder, 'index.sqlite'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function migrated(path: string): SqliteIndex {
  const old = new DatabaseSync(path);
  old.exec(OLD_LAYOUT);
  old.close();
  return new SqliteIndex(path);
}

test('a database without destinations gets them from its addresses, once', () =>
  withFolder((path) => {
    migrated(path).close();
    const index = new SqliteIndex(path);
    const { flushedThrough, highestId, messages, heads } = index.open();
    assert.deepEqual([flushedThrough, highestId, messages], [17, 6, 2]);
    assert.deepEqual(
      heads.map(({ channel, destination, dueMs }) => [channel, destination, dueMs]),
      [
        ['local', '', 3000],
        ['remote', 'far', 2000],
        ['remote', 'near', 2000],
      ],
    );
    const [job] = index.claim('remote', [{ destination: 'far', untilMs: 2000, limit: 5 }]).jobs;
    assert.deepEqual(
      job?.recipients.map((one) => [one.index, textOf(one.address)]),
      [
        [1, 'a@Far'],
        [4, 'd@fAR'],
      ],
    );
    assert.deepEqual([job.birthMs, job.dueMs, textOf(index.read(5)!)], [1000, 2000, 'body']);
    assert.deepEqual(
      index.finished().map(({ id, failures }) => [id, ...failures.map(({ report }) => report)]),
      [[6, 'gone']],
    );
    index.close();
  }));

test('a database that had no destinations takes verdicts and new messages', () =>
  withFolder((path) => {
    const index = migrated(path);
    const done = (position: number) => ({ index: position, state: 'done' }) as const;
    index.begin();
    for (const [destination, positions] of [['far', [1, 4]] as const, ['near', [3]] as const])
      index.settle(5, { channel: 'remote', destination }, positions.map(done), 9000);
    const last = index.settle(5, { channel: 'local', destination: '' }, [done(0)], 9000);
    assert.deepEqual(last.finished?.failures, []);
    assert.equal(index.insert([row(7, 'far', 100)], 18).heads[0]?.dueMs, 100);
    index.commit();
    assert.deepEqual(
      index.list(0, 10).map(({ id, due }) => [id, due]),
      [
        [6, {}],
        [7, { remote: 100 }],
      ],
    );
    index.close();
  }));

test('a database that knew no notifications keeps what new messages ask', () =>
  withFolder((path) => {
    migrated(path).close();
    const index = new SqliteIndex(path);
    const asking = row(7, 'far', 100);
    const recipients = asking.recipients.map((one) => ({ ...one, dsn: { notify: 3 } }));
    index.insert([{ ...asking, dsn: { envid: 'e' }, recipients }, row(8, 'far', 101)], 18);
    const [old, asked, plain] = index
      .claim('remote', [{ destination: 'far', untilMs: 3000, limit: 5 }])
      .jobs.sort((a, b) => a.id - b.id);
    assert.deepEqual([asked?.dsn, asked?.recipients[0]?.dsn], [{ envid: 'e' }, { notify: 3 }]);
    for (const job of [old, plain])
      assert.deepEqual([job?.dsn, job?.recipients[0]?.dsn], [undefined, undefined]);
    index.close();
  }));

function row(id: number, destination: string, dueMs: number): IndexRow {
  return {
    id,
    birthMs: 1,
    size: 1,
    sender: bytesOf('s@a'),
    body: bytesOf('x'),
    recipients: [{ address: bytesOf(`r@${destination}`), channel: 'remote', state: 'todo' }],
    failures: [],
    parts: [{ channel: 'remote', destination, dueMs, out: false, positions: [0] }],
  };
}

test('jobs of a destination are found by the index alone, in order', () =>
  withFolder((path) => {
    new SqliteIndex(path).close();
    const db = new DatabaseSync(path);
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${WAITING}`).all(1, 'd', 5, 10);
    assert.deepEqual(
      plan.map(({ detail }) => detail),
      ['SEARCH part USING COVERING INDEX part_due (channel=? AND destination=? AND due<?)'],
    );
    db.close();
  }));

test('messages are counted without their bodies, finished ones too', () =>
  withFolder((path) => {
    const index = new SqliteIndex(path);
    index.insert([{ ...row(1, 'd', 5), parts: [] }, row(2, 'd', 5), row(3, 'e', 5)], 1);
    index.close();
    const db = new DatabaseSync(path);
    assert.deepEqual({ ...db.prepare(COUNT_MESSAGES).get() }, { n: 3 });
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${COUNT_MESSAGES}`).all();
    assert.ok(!plan.some(({ detail }) => detail === 'SCAN message'));
    db.close();
  }));

test('a transaction that is rolled back hands nothing out and takes nothing back', () =>
  withFolder((path) => {
    const index = new SqliteIndex(path);
    const wanted = [{ destination: 'd', untilMs: 9, limit: 9 }];
    index.insert([row(1, 'd', 1), row(2, 'd', 2)], 1);
    index.begin();
    assert.equal(index.claim('remote', wanted).jobs.length, 2);
    index.rollback();
    assert.equal(index.claim('remote', wanted).jobs.length, 2);
    index.begin();
    const settled = index.settle(1, { channel: 'remote', destination: 'd' }, [], 5);
    assert.equal(settled.heads[0]?.dueMs, 5);
    index.rollback();
    assert.deepEqual(index.claim('remote', wanted).jobs, []);
    index.close();
  }));

test('the last good verdict leaves nothing of a message, and tells whether its bytes are in a file', () =>
  withFolder((path) => {
    const index = new SqliteIndex(path);
    const part = { channel: 'remote', destination: 'x' } as const;
    const done = (position: number) => ({ index: position, state: 'done' }) as const;
    const row = (id: number, body: Uint8Array | undefined): IndexRow => ({
      ...{ id, birthMs: 1, size: 1, sender: bytesOf('s'), body, failures: [] },
      recipients: ['a@x', 'b@x'].map((to) => ({
        ...{ address: bytesOf(to), channel: 'remote', state: 'todo' },
      })),
      parts: [{ ...part, dueMs: 5, out: true, positions: [0, 1] }],
    });
    index.insert([row(1, bytesOf('m')), row(2, undefined), row(3, undefined)], 1);
    const first = index.settle(1, part, [done(0), done(0)], undefined);
    assert.deepEqual([first.finished, first.settlement.delivered, first.recipients], [undefined, 1, 5]);
    const { finished, isLarge, messages, recipients } = index.settle(1, part, [done(1)], 9);
    assert.deepEqual([finished?.failures, isLarge, messages, recipients], [[], false, 2, 4]);
    assert.equal(index.settle(2, part, [done(0), done(1)], 9).isLarge, true);
    assert.equal(index.remove(3).isLarge, true);
    index.close();
    const db = new DatabaseSync(path);
    for (const table of ['message', 'recipient', 'part', 'failure'])
      assert.deepEqual(db.prepare(`SELECT * FROM ${table}`).all(), [], table);
    db.close();
  }));

test('what reads does not wait for what is flushed, and everything keeps its order otherwise', () => {
  const methods = ['settle', 'read', 'insert', 'claim', 'remove', 'close'] as const;
  const calls = methods.map((method, call) => ({ call, method, args: [] }));
  const groups = inGroups(calls).map((group) => group.map(({ method }) => method));
  assert.deepEqual(groups, [
    ['read', 'claim'],
    ['settle', 'insert', 'remove', 'close'],
  ]);
  assert.deepEqual(inGroups(calls.slice(0, 1)), [calls.slice(0, 1)]);
});
