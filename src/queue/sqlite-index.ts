// The index in SQLite: synchronous, for one thread. Whoever runs it wraps calls in a transaction (see IndexRunner), so
// that calls which wait together share one flush. docs/internals/queue.md has the tables.

import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { IndexRow, IndexState } from './message-index.ts';
import type {
  Channel,
  Failure,
  FinishedMessage,
  Job,
  MessageId,
  QueuedMessage,
  RecipientState,
  Verdict,
} from './queue.ts';
import { CHANNELS } from './queue.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY, birth REAL NOT NULL, size INTEGER NOT NULL, sender BLOB NOT NULL, body BLOB,
  local_due REAL, remote_due REAL
);
CREATE INDEX IF NOT EXISTS message_local_due ON message (local_due, id) WHERE local_due IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_remote_due ON message (remote_due, id) WHERE remote_due IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_finished ON message (id) WHERE local_due IS NULL AND remote_due IS NULL;
CREATE TABLE IF NOT EXISTS recipient (
  message INTEGER NOT NULL, position INTEGER NOT NULL, channel INTEGER NOT NULL, state INTEGER NOT NULL, address BLOB NOT NULL,
  PRIMARY KEY (message, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure (
  serial INTEGER PRIMARY KEY, message INTEGER NOT NULL, position INTEGER NOT NULL, report TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS failure_message ON failure (message, serial);
`;

const STATES: readonly RecipientState[] = ['todo', 'done', 'failed'];

interface MessageRow {
  id: number;
  birth: number;
  size: number;
  sender: Uint8Array;
  body: Uint8Array | null;
  local_due: number | null;
  remote_due: number | null;
}

interface RecipientRow {
  position: number;
  channel: number;
  state: number;
  address: Uint8Array;
}

/** See the head of this file. */
export class SqliteIndex {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Handed out, as `channel:id`; lives in memory only: after a crash everything is due again. */
  readonly #out = new Set<string>();
  /** What rollback has to do to the memory. */
  readonly #undo: (() => void)[] = [];
  #messages: number;

  /** @param path database file, or `:memory:` @throws when it cannot be opened and locked */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 0 });
    // Exclusive before anything else: the lock keeps a second hub out for as long as this one lives.
    this.#db.exec('PRAGMA locking_mode = EXCLUSIVE');
    this.#db.exec('PRAGMA journal_mode = WAL');
    this.#db.exec('PRAGMA synchronous = FULL');
    this.#db.exec('PRAGMA cache_size = -65536');
    this.#db.exec('BEGIN EXCLUSIVE');
    this.#db.exec(SCHEMA);
    this.#db.exec('COMMIT');
    this.#messages = this.#number('SELECT count(*) AS n FROM message');
  }

  begin(): void {
    this.#undo.length = 0;
    this.#db.exec('BEGIN IMMEDIATE');
  }

  commit(): void {
    this.#db.exec('COMMIT');
  }

  /** Undoes everything since begin; what is only kept in memory is brought back in line. */
  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    for (const undo of this.#undo.reverse()) undo();
    this.#undo.length = 0;
    this.#messages = this.#number('SELECT count(*) AS n FROM message');
  }

  open(): IndexState & { flushedThrough: number; highestId: number } {
    const flushedThrough = this.#number(
      "SELECT coalesce(max(value), 0) AS n FROM meta WHERE key = 'flushed_through'",
    );
    return {
      ...this.state(),
      flushedThrough,
      highestId: this.#number('SELECT coalesce(max(id), 0) AS n FROM message'),
    };
  }

  state(): IndexState {
    const first = (channel: Channel) => this.#due(channel, Number.MAX_VALUE, 1)[0]?.due;
    return { messages: this.#messages, nextDueMs: { local: first('local'), remote: first('remote') } };
  }

  insert(rows: readonly IndexRow[], through: number): IndexState {
    for (const row of rows) this.#insertRow(row);
    this.#run("INSERT OR REPLACE INTO meta (key, value) VALUES ('flushed_through', ?)", through);
    return this.state();
  }

  claim(channel: Channel, nowMs: number, limit: number): IndexState & { jobs: Job[] } {
    const jobs = this.#due(channel, nowMs, limit).map(({ id }) => this.#job(id, channel));
    for (const job of jobs) this.#setOut(outKey(job.id, channel), true);
    return { ...this.state(), jobs };
  }

  settle(
    id: MessageId,
    channel: Channel,
    verdicts: readonly Verdict[],
    nextDueMs: number | undefined,
  ): IndexState & { finished: FinishedMessage | undefined } {
    for (const verdict of verdicts) {
      this.#run(
        'UPDATE recipient SET state = ? WHERE message = ? AND position = ?',
        STATES.indexOf(verdict.state),
        id,
        verdict.index,
      );
      if (verdict.state === 'failed') this.#insertFailure(id, verdict.index, verdict.report ?? '');
    }
    const left = this.#number(
      'SELECT count(*) AS n FROM recipient WHERE message = ? AND channel = ? AND state = 0',
      id,
      CHANNELS.indexOf(channel),
    );
    if (left === 0) this.#run(`UPDATE message SET ${channel}_due = NULL WHERE id = ?`, id);
    else if (nextDueMs !== undefined)
      this.#run(`UPDATE message SET ${channel}_due = ? WHERE id = ?`, nextDueMs, id);
    if (left === 0 || nextDueMs !== undefined) this.#setOut(outKey(id, channel), false);
    const row = this.#row<MessageRow>('SELECT * FROM message WHERE id = ?', id);
    const finished =
      row !== undefined && row.local_due === null && row.remote_due === null
        ? this.#finishedMessage(row)
        : undefined;
    if (finished !== undefined && finished.failures.length === 0) this.remove(id);
    return { ...this.state(), finished };
  }

  remove(id: MessageId): IndexState {
    const { changes } = this.#run('DELETE FROM message WHERE id = ?', id);
    this.#run('DELETE FROM recipient WHERE message = ?', id);
    this.#run('DELETE FROM failure WHERE message = ?', id);
    this.#messages -= Number(changes);
    for (const channel of CHANNELS) this.#setOut(outKey(id, channel), false);
    return this.state();
  }

  read(id: MessageId): Uint8Array | undefined {
    const row = this.#row<{ body: Uint8Array | null }>('SELECT body FROM message WHERE id = ?', id);
    if (row === undefined) throw new Error(`message ${id} is not in the index`);
    return row.body ?? undefined;
  }

  finished(): FinishedMessage[] {
    const rows = this.#rows<MessageRow>(
      'SELECT * FROM message WHERE local_due IS NULL AND remote_due IS NULL ORDER BY id',
    );
    return rows.map((row) => this.#finishedMessage(row));
  }

  list(after: MessageId, limit: number): QueuedMessage[] {
    const rows = this.#rows<MessageRow>(
      'SELECT id, birth, size, sender, local_due, remote_due FROM message WHERE id > ? ORDER BY id LIMIT ?',
      after,
      limit,
    );
    return rows.map((row) => ({
      id: row.id,
      birthMs: row.birth,
      size: row.size,
      sender: row.sender,
      recipients: this.#recipients(row.id).map(({ address, channel, state }) => ({
        address,
        channel: CHANNELS[channel]!,
        state: STATES[state]!,
      })),
      due: {
        ...(row.local_due !== null && { local: row.local_due }),
        ...(row.remote_due !== null && { remote: row.remote_due }),
      },
    }));
  }

  existing(ids: readonly MessageId[]): MessageId[] {
    return ids.filter((id) => this.#row('SELECT id FROM message WHERE id = ?', id) !== undefined);
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #insertRow(row: IndexRow): void {
    this.#run(
      'INSERT INTO message (id, birth, size, sender, body, local_due, remote_due) VALUES (?, ?, ?, ?, ?, ?, ?)',
      row.id,
      row.birthMs,
      row.size,
      row.sender,
      row.body ?? null,
      row.due.local ?? null,
      row.due.remote ?? null,
    );
    row.recipients.forEach(({ address, channel, state }, position) => {
      this.#run(
        'INSERT INTO recipient (message, position, channel, state, address) VALUES (?, ?, ?, ?, ?)',
        row.id,
        position,
        CHANNELS.indexOf(channel),
        STATES.indexOf(state),
        address,
      );
    });
    for (const { position, report } of row.failures) this.#insertFailure(row.id, position, report);
    for (const channel of row.out) this.#setOut(outKey(row.id, channel), true);
    this.#messages++;
  }

  #setOut(key: string, out: boolean): void {
    if (this.#out.has(key) === out) return;
    if (out) this.#out.add(key);
    else this.#out.delete(key);
    this.#undo.push(() => (out ? this.#out.delete(key) : this.#out.add(key)));
  }

  #insertFailure(message: MessageId, position: number, report: string): void {
    this.#run('INSERT INTO failure (message, position, report) VALUES (?, ?, ?)', message, position, report);
  }

  /** Up to `limit` messages of the channel that are due and not handed out. */
  #due(channel: Channel, nowMs: number, limit: number): { id: MessageId; due: number }[] {
    // What is handed out is still due by its row, so that many more rows have to be looked at.
    const rows = this.#rows<{ id: number; due: number }>(
      `SELECT id, ${channel}_due AS due FROM message WHERE ${channel}_due <= ? ORDER BY ${channel}_due, id LIMIT ?`,
      nowMs,
      limit + this.#out.size,
    );
    return rows.filter(({ id }) => !this.#out.has(outKey(id, channel))).slice(0, limit);
  }

  #job(id: MessageId, channel: Channel): Job {
    const row = this.#row<MessageRow>('SELECT id, birth, size, sender FROM message WHERE id = ?', id)!;
    const recipients: { index: number; address: Uint8Array }[] = [];
    for (const { position, channel: number, state, address } of this.#recipients(id)) {
      if (CHANNELS[number] === channel && state === 0) recipients.push({ index: position, address });
    }
    return { id, channel, sender: row.sender, birthMs: row.birth, size: row.size, recipients };
  }

  #recipients(id: MessageId): RecipientRow[] {
    return this.#rows<RecipientRow>(
      'SELECT position, channel, state, address FROM recipient WHERE message = ? ORDER BY position',
      id,
    );
  }

  #finishedMessage(row: MessageRow): FinishedMessage {
    const failures = this.#rows<Failure & { report: string }>(
      'SELECT address, report FROM failure JOIN recipient USING (message, position) WHERE message = ? ORDER BY serial',
      row.id,
    ).map(({ address, report }) => ({ address, report }));
    return { id: row.id, sender: row.sender, birthMs: row.birth, failures };
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(sql: string, ...values: (number | string | Uint8Array | null)[]): { changes: number | bigint } {
    return this.#prepare(sql).run(...values);
  }

  #rows<Row>(sql: string, ...values: (number | string)[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  #row<Row>(sql: string, ...values: (number | string)[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  #number(sql: string, ...values: (number | string)[]): number {
    return this.#row<{ n: number }>(sql, ...values)?.n ?? 0;
  }
}

function outKey(id: MessageId, channel: Channel): string {
  return `${channel}:${id}`;
}
