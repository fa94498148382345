// Messages on their way to a server, of which there may be many and large ones: small ones in memory, the others in files
// without a name. Invariant: memory is bounded for one message and for all together, and nothing is left behind however the
// process ends, but for an empty file if it is killed between making one and taking its name away.

import type { StoredBytes } from '../client/request-source.ts';
import { ByteBuffer } from '../core/bytes/byte-buffer.ts';
import { type Files, NODE_FILES, type OpenFile } from '../host/files.ts';
import { MemoryBudget } from './memory-budget.ts';

/** Bounds in bytes, and where files are made. */
export interface MessageSpoolOptions {
  /** A message up to this size stays in memory … */
  readonly messageBytesMax?: number;
  /** … as long as all of them need no more than this. Buffers grow by doubling, so up to twice as much is taken. */
  readonly memoryBytesMax?: number;
  /** The folder for files: $TMPDIR if not given, /tmp if that is not set either. */
  readonly folder?: string;
  readonly files?: Files;
}

const MESSAGE_BYTES_MAX = 256 * 1024;
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** What messages have in common: the bounds, and how much is taken of them. */
export class MessageSpool {
  readonly messageBytesMax: number;
  readonly folder: string;
  readonly files: Files;
  readonly memory: MemoryBudget;

  constructor(options: MessageSpoolOptions = {}) {
    this.messageBytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX;
    this.memory = new MemoryBudget(options.memoryBytesMax ?? MEMORY_BYTES_MAX);
    this.folder = options.folder ?? (process.env['TMPDIR'] || '/tmp');
    this.files = options.files ?? NODE_FILES;
  }
}

/** One message: written, then read any number of times, then discarded. */
export class SpooledMessage {
  readonly #spool: MessageSpool;
  /** Neither this nor a file: the message could not be kept. */
  #buffer: ByteBuffer | undefined = new ByteBuffer();
  #file: OpenFile | undefined;
  #length = 0;
  /** What is under way with the file; never fails. */
  #work: Promise<void> = Promise.resolve();

  constructor(spool: MessageSpool) {
    this.#spool = spool;
  }

  /** Adds bytes; the array may be reused when the promise, if there is one, has resolved. Never fails: {@link end} tells. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    const position = this.#length;
    this.#length += bytes.length;
    const buffer = this.#buffer;
    const isSmall = buffer !== undefined && this.#length <= this.#spool.messageBytesMax;
    if (isSmall && this.#spool.memory.take(bytes.length)) {
      buffer.append(bytes);
      return undefined;
    }
    this.#buffer = undefined;
    this.#work = this.#work.then(() => this.#store(buffer, bytes, position));
    return this.#work;
  }

  /** The whole message, to be read until it is discarded; undefined if it could not be kept. */
  async end(): Promise<Uint8Array | StoredBytes | undefined> {
    await this.#work;
    if (this.#buffer !== undefined) return this.#buffer.view();
    const file = this.#file;
    return file && { length: this.#length, read: (from, length) => file.read(from, length) };
  }

  /** Lets go of memory and file; once. */
  async discard(): Promise<void> {
    await this.#work;
    if (this.#buffer !== undefined) this.#spool.memory.give(this.#buffer.length);
    this.#buffer = undefined;
    await this.#closeFile();
  }

  /** @param buffer what was in memory so far, if this is the first part that goes to the file */
  async #store(buffer: ByteBuffer | undefined, bytes: Uint8Array, position: number): Promise<void> {
    try {
      if (buffer !== undefined) await this.#moveToFile(buffer);
      await this.#file?.write(bytes, position);
    } catch {
      await this.#closeFile();
    }
  }

  async #moveToFile(buffer: ByteBuffer): Promise<void> {
    const { files, folder, memory } = this.#spool;
    const { randomUUID } = process.getBuiltinModule('node:crypto');
    const path = `${folder}/mini-qmail-${randomUUID()}`;
    try {
      this.#file = await files.open(path, { create: true });
      await files.remove(path);
      await this.#file.write(buffer.view(), 0);
    } finally {
      memory.give(buffer.length);
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }
}
