// Bytes of large messages, one file each. A file counts only when a journal record or an index row refers to it; any
// other one is a remain and is swept at start.

import type { Files, OpenFile } from '../host/files.ts';
import type { Log } from '../host/log.ts';
import { SystemError } from '../host/system-error.ts';
import type { MessageId } from './queue.ts';

/** The folder of large bodies. */
export class LargeBodies {
  readonly #files: Files;
  readonly #folder: string;
  readonly #log: Log;

  constructor(files: Files, folder: string, log: Log) {
    this.#files = files;
    this.#folder = folder;
    this.#log = log;
  }

  /** Makes the folder. @throws SystemError */
  async open(): Promise<void> {
    await this.#guard('make', this.#folder, () => this.#files.makeFolder(this.#folder));
  }

  /** Starts the file of a message that is arriving. @throws SystemError */
  async create(id: MessageId): Promise<LargeBody> {
    const path = this.#path(id);
    const file = await this.#guard('create', path, () => this.#files.open(path, { create: true }));
    return new LargeBody(file, path, () => this.#files.flushFolder(this.#folder));
  }

  /** @throws SystemError */
  read(id: MessageId): Promise<Uint8Array> {
    const path = this.#path(id);
    return this.#guard('read', path, () => this.#files.readWhole(path));
  }

  /** Removes the file, if there is one. @throws SystemError */
  remove(id: MessageId): Promise<void> {
    const path = this.#path(id);
    return this.#guard('remove', path, () => this.#files.remove(path));
  }

  /** Removes the file of a message that is gone already: one that stays is for the log alone, and goes at the next start. */
  async discard(id: MessageId): Promise<void> {
    try {
      await this.remove(id);
    } catch (error) {
      this.#log.write('queue.remain', { id, reason: String(error) });
    }
  }

  /** Ids of all files. @throws SystemError */
  async ids(): Promise<MessageId[]> {
    const names = await this.#guard('list', this.#folder, () => this.#files.list(this.#folder));
    return names.map(Number).filter((id) => id > 0);
  }

  #path(id: MessageId): string {
    return `${this.#folder}/${id}`;
  }

  async #guard<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new SystemError(operation, path, error);
    }
  }
}

/** One file that is being written; writes follow one another. */
export class LargeBody {
  readonly #file: OpenFile;
  readonly #path: string;
  readonly #flushFolder: () => Promise<void>;
  #at = 0;

  constructor(file: OpenFile, path: string, flushFolder: () => Promise<void>) {
    this.#file = file;
    this.#path = path;
    this.#flushFolder = flushFolder;
  }

  /** Appends; one call at a time. @throws SystemError */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.write(bytes, this.#at);
      this.#at += bytes.length;
    } catch (error) {
      throw new SystemError('write', this.#path, error);
    }
  }

  /** When it resolves, bytes and name are on stable storage. @throws SystemError */
  async seal(): Promise<void> {
    try {
      await this.#file.flush();
      await this.#flushFolder();
    } catch (error) {
      throw new SystemError('flush', this.#path, error);
    } finally {
      await this.close();
    }
  }

  /** Lets go of the file as it is. */
  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }
}
