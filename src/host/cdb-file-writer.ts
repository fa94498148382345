// A constant database written to a file as its records come. Nothing but 8 bytes per record is kept in memory; the header
// is written last, so that a file that was left half done is one that nobody can look anything up in.

import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs';
import { CDB_HEADER_BYTES, CdbWriter } from '../core/format/cdb.ts';

const PIECE_BYTES = 65_536;

/** Writes one file. All that fails throws the system's error, with a code; `EFBIG` at the format's limit of 4 GB. */
export class CdbFileWriter {
  readonly #descriptor: number;
  readonly #cdb = new CdbWriter();
  #position = CDB_HEADER_BYTES;

  /** Makes or empties the file. */
  constructor(path: Uint8Array) {
    const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
    this.#descriptor = openSync(Buffer.from(path), O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  }

  /** Adds a record. */
  add(key: Uint8Array, data: Uint8Array): void {
    if (!this.#cdb.add(key, data)) throw tooBig();
    if (this.#cdb.waiting >= PIECE_BYTES) this.#write(this.#cdb.takeOutput());
  }

  /** Writes what is left, flushes the file and closes it. */
  finish(): void {
    const end = this.#cdb.finish();
    if (end === undefined) throw tooBig();
    this.#write(this.#cdb.takeOutput());
    this.#write(end.tables);
    this.#position = 0;
    this.#write(end.header);
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const count = writeSync(this.#descriptor, bytes, at, bytes.length - at, this.#position);
      at += count;
      this.#position += count;
    }
  }
}

function tooBig(): Error {
  return Object.assign(new Error('A constant database ends below 4 GB'), { code: 'EFBIG' });
}
