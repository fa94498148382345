// The database file of the index: its tables, how it is opened and locked, and how an older one is brought up to date.
// docs/internals/queue.md describes the tables. Invariant: whoever has it open is the only one, until it is closed.

import { DatabaseSync } from 'node:sqlite';
import { addDsnColumns, migrateIndex } from './index-parts.ts';
import { HELD_MS } from './queue.ts';

// Bodies stay out of every index; a part is found by its destination's earliest due time, its recipients by their numbers.
const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY, birth REAL NOT NULL, size INTEGER NOT NULL, sender BLOB NOT NULL, body BLOB, parts INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS recipient (
  message INTEGER NOT NULL, position INTEGER NOT NULL, channel INTEGER NOT NULL, state INTEGER NOT NULL, address BLOB NOT NULL,
  PRIMARY KEY (message, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure (
  serial INTEGER PRIMARY KEY, message INTEGER NOT NULL, position INTEGER NOT NULL, report TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS failure_message ON failure (message, serial);
CREATE TABLE IF NOT EXISTS part (
  message INTEGER NOT NULL, channel INTEGER NOT NULL, destination TEXT NOT NULL, due REAL NOT NULL, todo INTEGER NOT NULL, positions BLOB NOT NULL,
  PRIMARY KEY (message, channel, destination)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS part_due ON part (channel, destination, due, message);
`;
// By an index of what is held alone, so that nothing else pays for it.
const HELD_INDEX = `CREATE INDEX IF NOT EXISTS part_held ON part (message) WHERE due = ${HELD_MS}.0`;
const FINISHED_INDEX = 'CREATE INDEX IF NOT EXISTS message_finished ON message (id) WHERE parts = 0';
/** Log between checkpoints, in pages of 4 KB: a page that is written to often goes to its place in the file once. */
const CHECKPOINT_PAGES = 4000;

/**
 * Opens the database, makes what it lacks, and keeps everybody else out.
 * @param path database file, or `:memory:` @throws when it cannot be opened and locked
 */
export function openIndexDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 0 });
  // Exclusive before anything else: the lock keeps a second hub out for as long as this one lives.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  db.exec('PRAGMA journal_mode = WAL');
  db.exec('PRAGMA synchronous = FULL');
  db.exec('PRAGMA cache_size = -65536');
  db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.exec('BEGIN EXCLUSIVE');
  db.exec(SCHEMA);
  migrateIndex(db);
  addDsnColumns(db);
  db.exec(FINISHED_INDEX);
  db.exec(HELD_INDEX);
  db.exec('COMMIT');
  return db;
}
