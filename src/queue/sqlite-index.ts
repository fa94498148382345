// The index in SQLite: synchronous, for one thread. Whoever runs it wraps calls in a transaction (see IndexRunner), so
// that calls which wait together share one flush. docs/internals/queue.md has the tables.

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { withoutDelay } from '../core/policy/notification.ts';
import { encodeMessageDsn, encodeRecipientDsn, messageDsn, recipientDsn } from './dsn-record.ts';
import type { Settlement } from './entry.ts';
import { openIndexDatabase } from './index-database.ts';
import { INSERT_PART, insertPart, unpackPositions } from './index-parts.ts';
import type { IndexRow, IndexState, PartName, Regrouped, Wanted } from './message-index.ts';
import type {
  Channel,
  FinishedMessage,
  Job,
  JobRecipient,
  MessageId,
  QueuedMessage,
  QueueOverview,
  RecipientState,
  Verdict,
} from './queue.ts';
import { CHANNELS, HELD_MS } from './queue.ts';

const COUNT_HELD = `SELECT count(DISTINCT message) AS n FROM part WHERE due = ${HELD_MS}.0`;

/** Jobs of one destination in order: by the index alone, from its first row. */
export const WAITING =
  'SELECT message, due FROM part WHERE channel = ? AND destination = ? AND due <= ? ORDER BY due, message LIMIT ?';
/** By what has parts and what has none: to count the table would read every body. */
export const COUNT_MESSAGES =
  'SELECT (SELECT count(DISTINCT message) FROM part) + (SELECT count(*) FROM message WHERE parts = 0) AS n';
/** A message as a verdict finds it; none of its bytes is read. */
const SETTLED = `SELECT id, birth, sender, parts, dsn, body IS NULL AS large,
  (SELECT todo FROM part WHERE message = ? AND channel = ? AND destination = ?) AS todo,
  EXISTS (SELECT 1 FROM failure WHERE message = ?) AS failed FROM message WHERE id = ?`;
const IS_LARGE = 'SELECT body IS NULL AS large FROM message WHERE id = ?';
const JOB = `SELECT id, birth, size, sender, dsn, positions FROM message, part
  WHERE id = ? AND message = id AND channel = ? AND destination = ?`;
const COUNT_LEFT = 'SELECT coalesce(sum(todo), 0) AS n FROM part';
const STATES: readonly RecipientState[] = ['todo', 'done', 'failed'];

interface MessageRow {
  id: number;
  birth: number;
  size: number;
  sender: Uint8Array;
  body: Uint8Array | null;
  parts: number;
  dsn: Uint8Array | null;
}

interface SettledRow extends MessageRow {
  /** Whether the bytes are in a file of their own. */
  large: number;
  /** Recipients of the part that were left. */
  todo: number | null;
  failed: number;
}

interface WaitingRow {
  message: number;
  due: number;
}

interface RecipientRow {
  position: number;
  channel: number;
  state: number;
  address: Uint8Array;
  dsn: Uint8Array | null;
}

/** See the head of this file. */
export class SqliteIndex {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Messages handed out, by destination; lives in memory only: after a crash everything is due again. */
  readonly #out = new Map<string, Set<MessageId>>();
  /** What rollback has to do to the memory. */
  readonly #undo: (() => void)[] = [];
  #messages: number;
  /** Recipients left to do. */
  #left: number;

  /** @param path database file, or `:memory:` @throws when it cannot be opened and locked */
  constructor(path: string) {
    this.#db = openIndexDatabase(path);
    this.#messages = this.#number(COUNT_MESSAGES);
    this.#left = this.#number(COUNT_LEFT);
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
    for (const undo of this.#undo.splice(0).reverse()) undo();
    this.#undo.length = 0;
    this.#messages = this.#number(COUNT_MESSAGES);
    this.#left = this.#number(COUNT_LEFT);
  }

  /** Reads each part's entry in one index once, and none of the messages. */
  open(): IndexState & { flushedThrough: number; highestId: number } {
    const heads = this.#rows<{ channel: number; destination: string; due: number }>(
      'SELECT channel, destination, min(due) AS due FROM part WHERE due < ? GROUP BY channel, destination',
      HELD_MS,
    );
    return {
      messages: this.#messages,
      recipients: this.#left,
      heads: heads.map(({ channel, destination, due }) => ({
        channel: CHANNELS[channel]!,
        destination,
        dueMs: due,
      })),
      flushedThrough: this.#number(
        "SELECT coalesce(max(value), 0) AS n FROM meta WHERE key = 'flushed_through'",
      ),
      highestId: this.#number('SELECT coalesce(max(id), 0) AS n FROM message'),
    };
  }

  insert(rows: readonly IndexRow[], through: number): IndexState {
    const touched = new Map<string, PartName>();
    for (const row of rows) {
      this.#insertRow(row);
      for (const part of row.parts) touched.set(outKey(part), part);
    }
    this.#run("INSERT OR REPLACE INTO meta (key, value) VALUES ('flushed_through', ?)", through);
    return this.#state([...touched.values()]);
  }

  claim(channel: Channel, wanted: readonly Wanted[]): IndexState & { jobs: Job[] } {
    const jobs = wanted.flatMap(({ destination, untilMs, limit }) => {
      const part = { channel, destination };
      const rows = this.#waiting(part, untilMs, limit);
      for (const { message } of rows) this.#setOut(part, message, true);
      return rows.map((row) => this.#job(part, row));
    });
    return { ...this.#state(wanted.map(({ destination }) => ({ channel, destination }))), jobs };
  }

  settle(
    id: MessageId,
    part: PartName,
    verdicts: readonly Verdict[],
    nextDueMs: number | undefined,
  ): IndexState & { finished: FinishedMessage | undefined; settlement: Settlement; isLarge: boolean } {
    const settlement = { delivered: 0, failed: 0 };
    for (const verdict of verdicts) {
      if (verdict.state === 'warned') {
        this.#noteWarned(id, verdict.index);
        continue;
      }
      const { changes } = this.#run(
        'UPDATE recipient SET state = ? WHERE message = ? AND position = ? AND state = 0',
        STATES.indexOf(verdict.state),
        id,
        verdict.index,
      );
      if (changes === 0) continue;
      settlement[verdict.state === 'done' ? 'delivered' : 'failed']++;
      if (verdict.state === 'failed') this.#insertFailure(id, verdict.index, verdict.report ?? '');
    }
    const settled = settlement.delivered + settlement.failed;
    this.#left -= settled;
    const name = [id, CHANNELS.indexOf(part.channel), part.destination] as const;
    const row = this.#row<SettledRow>(SETTLED, ...name, id, id);
    const isLarge = row?.large === 1;
    // The common case, in as few steps as can be: nobody is left, and all went well.
    if (row?.parts === 1 && row.failed === 0 && row.todo === settled) {
      this.#setOut(part, id, false);
      this.#delete(id, ['message', 'recipient', 'part']);
      return { ...this.#state([part]), finished: finishedMessage(row, []), settlement, isLarge };
    }
    this.#run(
      'UPDATE part SET todo = todo - ?, due = iif(due = ?, due, coalesce(?, due)) WHERE message = ? AND channel = ? AND destination = ?',
      settled,
      HELD_MS,
      nextDueMs ?? null,
      ...name,
    );
    const { changes: ended } = this.#run(
      'DELETE FROM part WHERE message = ? AND channel = ? AND destination = ? AND todo <= 0',
      ...name,
    );
    if (ended !== 0) this.#run('UPDATE message SET parts = parts - 1 WHERE id = ?', id);
    if (ended !== 0 || nextDueMs !== undefined) this.#setOut(part, id, false);
    const isOver = row !== undefined && row.parts - Number(ended) === 0;
    const finished = isOver ? this.#finishedMessage(row) : undefined;
    if (finished !== undefined && finished.failures.length === 0) this.remove(id);
    return { ...this.#state([part]), finished, settlement, isLarge };
  }

  #noteWarned(id: MessageId, position: number): void {
    const row = this.#row<{ dsn: Uint8Array | null }>(
      'SELECT dsn FROM recipient WHERE message = ? AND position = ? AND state = 0',
      id,
      position,
    );
    const { dsn } = recipientDsn(row?.dsn ?? null);
    if (dsn === undefined) return;
    const asked = encodeRecipientDsn(withoutDelay(dsn));
    this.#run('UPDATE recipient SET dsn = ? WHERE message = ? AND position = ?', asked, id, position);
  }

  /** The state after a change to these destinations. */
  #state(touched: readonly PartName[]): IndexState {
    const heads = touched.map(({ channel, destination }) => ({
      channel,
      destination,
      dueMs: this.#waiting({ channel, destination }, HELD_MS - 1, 1)[0]?.due,
    }));
    return { messages: this.#messages, recipients: this.#left, heads };
  }

  hasten(nowMs: number, laterThanMs: number): IndexState {
    const isLate = 'SELECT 1 FROM part WHERE due > ? AND due < ? LIMIT 1';
    if (this.#rows(isLate, laterThanMs, HELD_MS).length === 0) return this.#state([]);
    this.#run('UPDATE part SET due = ? WHERE due > ? AND due < ?', nowMs, laterThanMs, HELD_MS);
    const parts = this.#rows<{ channel: number; destination: string }>(
      'SELECT DISTINCT channel, destination FROM part',
    );
    return this.#state(
      parts.map(({ channel, destination }) => ({ channel: CHANNELS[channel]!, destination })),
    );
  }

  reschedule(id: MessageId, dueMs: number): IndexState & { out: PartName[] | undefined } {
    const parts = this.#partsOf(id);
    this.#run('UPDATE part SET due = ? WHERE message = ?', dueMs, id);
    const out = parts.filter((part) => this.#isOut(part, id));
    return { ...this.#state(parts), out: parts.length > 0 ? out : undefined };
  }

  handOut(id: MessageId): IndexState & { jobs: Job[] | undefined; wasOut: PartName[] } {
    const parts = this.#partsOf(id);
    const wasOut = parts.filter((part) => this.#isOut(part, id));
    for (const part of parts) this.#setOut(part, id, true);
    const isThere = parts.length > 0 || this.existing([id]).length > 0;
    const jobs = parts.map((part) => this.#job(part, { message: id, due: part.dueMs }));
    return { ...this.#state(parts), jobs: isThere ? jobs : undefined, wasOut };
  }

  regroup(id: MessageId, parts: readonly Regrouped[]): IndexState {
    const old = this.#partsOf(id).filter(({ channel }) => channel === 'remote');
    if (old.length === 0) return this.#state([]);
    const isHeld = old.some(({ dueMs }) => dueMs === HELD_MS);
    for (const part of old) this.#setOut(part, id, false);
    this.#run('DELETE FROM part WHERE message = ? AND channel = ?', id, CHANNELS.indexOf('remote'));
    const fresh = parts.map(({ dueMs, ...part }) => ({
      ...{ ...part, channel: 'remote' as const, dueMs: isHeld ? HELD_MS : dueMs, out: false },
    }));
    for (const part of fresh) insertPart(this.#prepare(INSERT_PART), id, part);
    this.#run('UPDATE message SET parts = parts + ? WHERE id = ?', fresh.length - old.length, id);
    return this.#state([...old, ...fresh]);
  }

  /** What is left of a message. */
  #partsOf(id: MessageId): (PartName & { readonly dueMs: number; readonly left: number })[] {
    return this.#rows<{ channel: number; destination: string; due: number; todo: number }>(
      'SELECT channel, destination, due, todo FROM part WHERE message = ?',
      id,
    ).map(({ channel, destination, due: dueMs, todo: left }) => ({
      channel: CHANNELS[channel]!,
      destination,
      dueMs,
      left,
    }));
  }

  remove(id: MessageId): IndexState & { left: number; isLarge: boolean } {
    const parts = this.#partsOf(id);
    const left = parts.reduce((sum, part) => sum + part.left, 0);
    this.#left -= left;
    const isLarge = this.#row<{ large: number }>(IS_LARGE, id)?.large === 1;
    this.#delete(id, ['message', 'recipient', 'part', 'failure']);
    for (const part of parts) this.#setOut(part, id, false);
    return { ...this.#state(parts), left, isLarge };
  }

  #delete(id: MessageId, tables: readonly string[]): void {
    for (const table of tables) {
      const key = table === 'message' ? 'id' : 'message';
      const { changes } = this.#run(`DELETE FROM ${table} WHERE ${key} = ?`, id);
      if (table === 'message') this.#messages -= Number(changes);
    }
  }

  read(id: MessageId): Uint8Array | undefined {
    const row = this.#row<{ body: Uint8Array | null }>('SELECT body FROM message WHERE id = ?', id);
    if (row === undefined) throw new Error(`message ${id} is not in the index`);
    return row.body ?? undefined;
  }

  finished(): FinishedMessage[] {
    const rows = this.#rows<MessageRow>(
      'SELECT id, birth, sender, parts, dsn FROM message WHERE parts = 0 ORDER BY id',
    );
    return rows.map((row) => this.#finishedMessage(row));
  }

  overview(): QueueOverview {
    return {
      held: this.#number(COUNT_HELD),
      oldestMs: this.#row<{ birth: number }>('SELECT birth FROM message ORDER BY id LIMIT 1')?.birth,
    };
  }

  list(after: MessageId, limit: number): QueuedMessage[] {
    const rows = this.#rows<MessageRow>(
      'SELECT id, birth, size, sender, dsn FROM message WHERE id > ? ORDER BY id LIMIT ?',
      after,
      limit,
    );
    return rows.map((row) => ({
      id: row.id,
      birthMs: row.birth,
      size: row.size,
      sender: row.sender,
      recipients: this.#recipients(row.id).map(({ address, channel, state, dsn }) => ({
        address,
        channel: CHANNELS[channel]!,
        state: STATES[state]!,
        ...recipientDsn(dsn),
      })),
      ...this.#waitingOf(row.id),
      ...messageDsn(row.dsn),
    }));
  }

  existing(ids: readonly MessageId[]): MessageId[] {
    return ids.filter((id) => this.#row('SELECT id FROM message WHERE id = ?', id) !== undefined);
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #waitingOf(id: MessageId): Pick<QueuedMessage, 'due' | 'destinations'> {
    const due: { local?: number; remote?: number } = {};
    const destinations: string[] = [];
    for (const { channel, destination, dueMs } of this.#partsOf(id)) {
      due[channel] = Math.min(due[channel] ?? dueMs, dueMs);
      if (channel === 'remote') destinations.push(destination);
    }
    return { due, destinations };
  }

  #insertRow(row: IndexRow): void {
    this.#run(
      'INSERT INTO message (id, birth, size, sender, body, parts, dsn) VALUES (?, ?, ?, ?, ?, ?, ?)',
      row.id,
      row.birthMs,
      row.size,
      row.sender,
      row.body ?? null,
      row.parts.length,
      row.dsn === undefined ? null : encodeMessageDsn(row.dsn),
    );
    row.recipients.forEach(({ address, channel, state, dsn }, position) => {
      this.#run(
        'INSERT INTO recipient (message, position, channel, state, address, dsn) VALUES (?, ?, ?, ?, ?, ?)',
        row.id,
        position,
        CHANNELS.indexOf(channel),
        STATES.indexOf(state),
        address,
        dsn === undefined ? null : encodeRecipientDsn(dsn),
      );
    });
    for (const { position, report } of row.failures) this.#insertFailure(row.id, position, report);
    for (const part of row.parts) {
      insertPart(this.#prepare(INSERT_PART), row.id, part);
      this.#left += part.positions.length;
      if (part.out) this.#setOut(part, row.id, true);
    }
    this.#messages++;
  }

  #isOut(part: PartName, id: MessageId): boolean {
    return this.#out.get(outKey(part))?.has(id) === true;
  }

  #setOut(part: PartName, id: MessageId, out: boolean): void {
    const key = outKey(part);
    const ids = this.#out.get(key) ?? new Set();
    if (ids.has(id) === out) return;
    if (out) this.#out.set(key, ids.add(id));
    else ids.delete(id);
    if (ids.size === 0) this.#out.delete(key);
    this.#undo.push(() => this.#setOut(part, id, !out));
  }

  #insertFailure(message: MessageId, position: number, report: string): void {
    this.#run('INSERT INTO failure (message, position, report) VALUES (?, ?, ?)', message, position, report);
  }

  /** Up to `limit` messages of the destination that are due and not handed out. */
  #waiting({ channel, destination }: PartName, untilMs: number, limit: number): WaitingRow[] {
    // What is handed out is still due by its row, so that many more rows have to be looked at.
    const out = this.#out.get(outKey({ channel, destination }));
    const rows = this.#rows<WaitingRow>(
      WAITING,
      CHANNELS.indexOf(channel),
      destination,
      untilMs,
      limit + (out?.size ?? 0),
    );
    return rows.filter(({ message }) => out?.has(message) !== true).slice(0, limit);
  }

  #job({ channel, destination }: PartName, { message: id, due }: WaitingRow): Job {
    const row = this.#row<MessageRow & { positions: Uint8Array }>(
      JOB,
      id,
      CHANNELS.indexOf(channel),
      destination,
    )!;
    const recipients: JobRecipient[] = [];
    for (const position of unpackPositions(row.positions)) {
      const recipient = this.#row<RecipientRow>(
        'SELECT state, address, dsn FROM recipient WHERE message = ? AND position = ?',
        id,
        position,
      );
      if (recipient?.state !== 0) continue;
      recipients.push({ index: position, address: recipient.address, ...recipientDsn(recipient.dsn) });
    }
    const { sender, birth: birthMs, size } = row;
    const asked = messageDsn(row.dsn);
    return { id, channel, destination, dueMs: due, sender, birthMs, size, recipients, ...asked };
  }

  #recipients(id: MessageId): RecipientRow[] {
    return this.#rows<RecipientRow>(
      'SELECT position, channel, state, address, dsn FROM recipient WHERE message = ? ORDER BY position',
      id,
    );
  }

  #finishedMessage(row: MessageRow): FinishedMessage {
    const failures = this.#rows<{ address: Uint8Array; report: string; dsn: Uint8Array | null }>(
      'SELECT address, report, dsn FROM failure JOIN recipient USING (message, position) WHERE message = ? ORDER BY serial',
      row.id,
    ).map(({ address, report, dsn }) => ({ address, report, ...recipientDsn(dsn) }));
    return finishedMessage(row, failures);
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(
    sql: string,
    ...values: readonly (number | string | Uint8Array | null)[]
  ): { changes: number | bigint } {
    return this.#prepare(sql).run(...values);
  }

  #rows<Row>(sql: string, ...values: readonly (number | string)[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  #row<Row>(sql: string, ...values: readonly (number | string)[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  #number(sql: string, ...values: readonly (number | string)[]): number {
    return this.#row<{ n: number }>(sql, ...values)?.n ?? 0;
  }
}

function finishedMessage(row: MessageRow, failures: FinishedMessage['failures']): FinishedMessage {
  return { id: row.id, sender: row.sender, birthMs: row.birth, failures, ...messageDsn(row.dsn) };
}

function outKey({ channel, destination }: PartName): string {
  return `${channel}:${destination}`;
}
