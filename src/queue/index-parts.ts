// Parts in the index: how the numbers of a part's recipients are packed, and how a database that knew no parts gets them.

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { IndexRow } from './message-index.ts';
import { CHANNELS, destinationByDomain } from './queue.ts';

/** Prepared, it takes what {@link insertPart} gives. */
export const INSERT_PART =
  'INSERT INTO part (message, channel, destination, due, todo, positions) VALUES (?, ?, ?, ?, ?, ?)';

interface LeftRow {
  position: number;
  channel: number;
  address: Uint8Array;
}

/** Inserts a part of a message. */
export function insertPart(insert: StatementSync, message: number, part: IndexRow['parts'][number]): void {
  const { channel, destination, dueMs, positions } = part;
  const packed = new Uint8Array(Uint32Array.from(positions).buffer);
  insert.run(message, CHANNELS.indexOf(channel), destination, dueMs, positions.length, packed);
}

/** The recipients' numbers as {@link insertPart} packed them: 32 bits each, in the machine's byte order. */
export function unpackPositions(packed: Uint8Array): Uint32Array {
  // A copy begins at a multiple of four.
  return new Uint32Array(new Uint8Array(packed).buffer);
}

/** Adds what a database lacks that knows nothing of notifications; an order of its own costs nothing per row. */
export function addDsnColumns(db: DatabaseSync): void {
  const columns = db.prepare('SELECT name FROM pragma_table_info(?)');
  for (const table of ['message', 'recipient'])
    if (!columns.all(table).some(({ name }) => name === 'dsn'))
      db.exec(`ALTER TABLE ${table} ADD COLUMN dsn BLOB`);
}

/**
 * Brings a database of the layout with one due time per message and channel to the one with parts; does nothing to
 * any other. Remote recipients are parted by domain, whatever smtproutes says. The old columns stay, unused: to drop
 * them would write every body anew.
 */
export function migrateIndex(db: DatabaseSync): void {
  const columns = db.prepare('SELECT name FROM pragma_table_info(?)').all('message');
  if (columns.some(({ name }) => name === 'parts')) return;
  for (const index of ['local_due', 'remote_due', 'finished'])
    db.exec(`DROP INDEX IF EXISTS message_${index}`);
  db.exec('ALTER TABLE message ADD COLUMN parts INTEGER NOT NULL DEFAULT 0');
  const insert = db.prepare(INSERT_PART);
  const count = db.prepare('UPDATE message SET parts = ? WHERE id = ?');
  const recipients = db.prepare(
    'SELECT position, channel, address FROM recipient WHERE message = ? AND state = 0 ORDER BY position',
  );
  const messages = db.prepare('SELECT id, local_due, remote_due FROM message ORDER BY id');
  for (const message of messages.all() as { id: number; local_due: number; remote_due: number }[]) {
    const parts = new Map<string, IndexRow['parts'][number] & { positions: number[] }>();
    for (const { position, channel: number, address } of recipients.all(message.id) as unknown as LeftRow[]) {
      const channel = CHANNELS[number]!;
      const destination = destinationByDomain({ channel, address });
      const key = `${channel}:${destination}`;
      const dueMs = message[`${channel}_due`];
      const part = parts.get(key) ?? { channel, destination, dueMs, out: false, positions: [] };
      part.positions.push(position);
      parts.set(key, part);
    }
    for (const part of parts.values()) insertPart(insert, message.id, part);
    count.run(parts.size, message.id);
  }
}
