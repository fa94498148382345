// A constant database: one file, written once, that answers a look-up with two reads or so however large it is. Records in
// their order from byte 2048 on, then 256 hash tables, and at the start of the file where each table is. Integers are
// 32 bits, little-endian; so a file ends below 4 GB.
// Source: cr.yp.to/cdb/cdb.txt. Invariant: the same records in the same order make the same bytes as the original's.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { concatBytes, equalBytes } from '../bytes/bytes.ts';

/** Length of what the file begins with: the place and the number of slots of each hash table. The first record follows. */
export const CDB_HEADER_BYTES = 2048;
/** Positions are unsigned 32-bit numbers: no record and no table can end behind this byte. */
export const CDB_MAX_BYTES = 4294967295;

const TABLES = 256;

/** One entry of the database. */
export interface CdbRecord {
  readonly key: Uint8Array;
  readonly data: Uint8Array;
}

/** A whole file: one record after the other, whatever their keys; undefined if it would be longer than {@link CDB_MAX_BYTES}. */
export function buildCdb(records: readonly CdbRecord[]): Uint8Array | undefined {
  const writer = new CdbWriter();
  for (let i = 0; i < records.length; i++)
    if (!writer.add(records[i]!.key, records[i]!.data)) return undefined;
  const content = writer.takeOutput();
  const end = writer.finish();
  return end && concatBytes([end.header, content, end.tables]);
}

/**
 * Makes a file piece by piece. What {@link CdbWriter.takeOutput} gives belongs behind the header, in order, the tables of
 * {@link CdbWriter.finish} behind that; the header is known last. Keeps 8 bytes per record.
 */
export class CdbWriter {
  readonly #output = new ByteBuffer(65_536);
  /** Hash and position of each record. */
  #index = new Uint32Array(128);
  #records = 0;
  #position = CDB_HEADER_BYTES;

  /** Adds a record; false if the file would become longer than {@link CDB_MAX_BYTES}. Then it cannot be finished. */
  add(key: Uint8Array, data: Uint8Array): boolean {
    const next = this.#position + 8 + key.length + data.length;
    if (next > CDB_MAX_BYTES) return false;
    appendNumber(this.#output, key.length);
    appendNumber(this.#output, data.length);
    this.#output.append(key);
    this.#output.append(data);
    if (this.#index.length < 2 * this.#records + 2) {
      const grown = new Uint32Array(this.#index.length * 2);
      grown.set(this.#index);
      this.#index = grown;
    }
    this.#index[2 * this.#records] = cdbHash(key);
    this.#index[2 * this.#records + 1] = this.#position;
    this.#records++;
    this.#position = next;
    return true;
  }

  /** Bytes that wait to be taken. */
  get waiting(): number {
    return this.#output.length;
  }

  /** A copy of the bytes of the records added since it was last called. */
  takeOutput(): Uint8Array {
    const bytes = this.#output.toBytes();
    this.#output.clear();
    return bytes;
  }

  /** What comes behind the records, and what belongs at the start; undefined if the file would become too long. */
  finish(): { readonly tables: Uint8Array; readonly header: Uint8Array } | undefined {
    const counts = new Uint32Array(TABLES);
    for (let i = 0; i < this.#records; i++) counts[this.#index[2 * i]! % TABLES]!++;
    const bytes = 16 * this.#records;
    if (this.#position + bytes > CDB_MAX_BYTES) return undefined;
    const header = new Uint8Array(CDB_HEADER_BYTES);
    const starts = new Uint32Array(TABLES);
    let start = 0;
    for (let table = 0; table < TABLES; table++) {
      starts[table] = start;
      putNumber(header, 8 * table, this.#position + start);
      putNumber(header, 8 * table + 4, 2 * counts[table]!);
      start += 16 * counts[table]!;
    }
    const tables = new Uint8Array(bytes);
    for (let i = 0; i < this.#records; i++) {
      const hash = this.#index[2 * i]!;
      const table = hash % TABLES;
      putInTable(tables, starts[table]!, 2 * counts[table]!, hash, this.#index[2 * i + 1]!);
    }
    return { tables, header };
  }
}

/** Puts a record into the first free slot from where its hash points on; a position of 0 marks a free one. */
function putInTable(tables: Uint8Array, start: number, slots: number, hash: number, position: number): void {
  let slot = (hash >>> 8) % slots;
  while (numberAt(tables, start + 8 * slot + 4) !== 0) slot = slot + 1 === slots ? 0 : slot + 1;
  putNumber(tables, start + 8 * slot, hash);
  putNumber(tables, start + 8 * slot + 4, position);
}

/**
 * The data of the first record with that key; undefined if there is none, `corrupt` if the file is not what it should be
 * where it was looked at. Never looks at more slots than the table fills of the file.
 * @param read so many bytes from that offset on, or undefined where the file does not have them all
 */
export function findInCdb(
  read: (offset: number, length: number) => Uint8Array | undefined,
  key: Uint8Array,
): Uint8Array | undefined | 'corrupt' {
  const hash = cdbHash(key);
  const place = read(8 * (hash % TABLES), 8);
  if (place === undefined) return 'corrupt';
  const start = numberAt(place, 0);
  const slots = numberAt(place, 4);
  if (slots === 0) return undefined;
  let slot = (hash >>> 8) % slots;
  for (let probes = 0; probes < slots; probes++) {
    const entry = read(start + 8 * slot, 8);
    if (entry === undefined) return 'corrupt';
    const position = numberAt(entry, 4);
    if (position === 0) return undefined;
    if (numberAt(entry, 0) === hash) {
      const data = dataAt(read, position, key);
      if (data !== undefined) return data;
    }
    slot = slot + 1 === slots ? 0 : slot + 1;
  }
  return undefined;
}

/** The data of the record at that position if it has that key. */
function dataAt(
  read: (offset: number, length: number) => Uint8Array | undefined,
  position: number,
  key: Uint8Array,
): Uint8Array | undefined | 'corrupt' {
  const lengths = read(position, 8);
  if (lengths === undefined) return 'corrupt';
  if (numberAt(lengths, 0) !== key.length) return undefined;
  const dataLength = numberAt(lengths, 4);
  const found = read(position + 8, key.length);
  if (found === undefined) return 'corrupt';
  if (!equalBytes(found, key)) return undefined;
  return read(position + 8 + key.length, dataLength) ?? 'corrupt';
}

/** The hash of a key, an unsigned 32-bit number. */
function cdbHash(key: Uint8Array): number {
  let hash = 5381;
  for (let i = 0; i < key.length; i++) hash = ((hash << 5) + hash) ^ key[i]!;
  return hash >>> 0;
}

function numberAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function putNumber(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function appendNumber(output: ByteBuffer, value: number): void {
  output.appendByte(value & 255);
  output.appendByte((value >>> 8) & 255);
  output.appendByte((value >>> 16) & 255);
  output.appendByte(value >>> 24);
}
