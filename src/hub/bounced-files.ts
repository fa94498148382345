// Messages that have bounced, kept in HOME/bounced for some time so that an operator can send them again: a file each, named by
// the message's number, of a line of JSON and the message's bytes. Written after the notice is in the queue and before the message
// leaves it, whole or not at all (a file, flushed, renamed, folder flushed). Invariants: nothing waits for this but the end of
// a message that has failed; all files together keep to their limits, the oldest go first; what cannot be kept is told and lost.

import { promises as fs } from 'node:fs';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { FolderFlusher } from '../delivery/folder-flusher.ts';
import type { Clock } from '../host/clock.ts';
import { readControlNumber } from '../host/control.ts';
import { NODE_FILES } from '../host/files.ts';
import { listIfPresent } from '../host/list-folder.ts';
import type { Channel, Envelope, MessageId } from '../queue/queue.ts';

/** Five days. */
const LIFETIME_SECONDS = 432_000;
const BYTES_MAX = 256 << 20;
const HEAD_BYTES = 64 << 10;
const LF = 10;
const UNFINISHED = '.new';

/** A message that has bounced, as it is kept. */
export interface BouncedMessage {
  readonly id: MessageId;
  /** When it was accepted, and when it bounced, ms since 1970. */
  readonly birthMs: number;
  readonly bouncedMs: number;
  /** Bytes of the message. */
  readonly size: number;
  /** The message that tells its sender. */
  readonly noticeId: MessageId;
  readonly sender: Uint8Array;
  readonly dsn?: Envelope['dsn'];
  /** Those that failed; `report` as in the notice. */
  readonly recipients: readonly (Envelope['recipients'][number] & { readonly report: string })[];
}

/** Bytes as text, one character each. */
interface Head extends Omit<BouncedMessage, 'sender' | 'recipients'> {
  readonly sender: string;
  readonly recipients: readonly {
    readonly address: string;
    readonly channel: Channel;
    readonly report: string;
  }[];
}

/** How they are kept. */
export interface BouncedFilesOptions {
  readonly folder: string;
  /** For how long; 0 for not at all. */
  readonly lifetimeMs: number;
  /** Of all files; 0 for none. */
  readonly bytesMax: number;
  readonly clock: Clock;
}

/** Keeps bounced messages; see the head of this file. */
export class BouncedFiles {
  readonly #options: BouncedFilesOptions;
  readonly #flusher = new FolderFlusher((folder) => NODE_FILES.flushFolder(folder));
  /** By time of their bounce, once they are known. */
  readonly #known = new Map<MessageId, { readonly bytes: number; readonly atMs: number }>();
  #bytes = 0;
  #callOff: (() => void) | undefined;
  #isClosed = false;
  #loading: Promise<void> | undefined;

  constructor(options: BouncedFilesOptions) {
    this.#options = options;
  }

  /** How many there are, and their bytes. */
  async stats(): Promise<{ readonly messages: number; readonly bytes: number }> {
    await this.#load();
    return { messages: this.#known.size, bytes: this.#bytes };
  }

  /** Keeps a message, on stable storage when it resolves. @returns whether it is kept @throws when it cannot be written */
  async keep(message: BouncedMessage, body: Uint8Array): Promise<boolean> {
    const { folder, lifetimeMs, bytesMax } = this.#options;
    const head = Buffer.from(`${formatHead(message)}\n`, 'latin1');
    const bytes = head.length + body.length;
    if (lifetimeMs === 0 || bytes > bytesMax) return false;
    await this.#load();
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const path = `${folder}/${message.id}`;
    const file = await fs.open(path + UNFINISHED, 'w', 0o600);
    try {
      await file.writev([head, body]);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(path + UNFINISHED, path);
    await this.#flusher.flush(folder);
    this.#forget(message.id);
    this.#note(message.id, bytes, message.bouncedMs);
    await this.#prune();
    return true;
  }

  /** All of them, by number. */
  async *list(): AsyncIterable<BouncedMessage> {
    await this.#load();
    for (const id of [...this.#known.keys()].sort((a, b) => a - b)) {
      const message = await this.find(id);
      if (message !== undefined) yield message;
    }
  }

  /** One of them; undefined if it is not there, or what is there is none. */
  async find(id: MessageId): Promise<BouncedMessage | undefined> {
    await this.#load();
    if (!this.#known.has(id)) return undefined;
    try {
      return parseHead(await this.#readHead(id));
    } catch {
      return undefined;
    }
  }

  /** The bytes of a message that {@link find} has found. @throws when they cannot be read */
  async read(id: MessageId): Promise<Uint8Array> {
    const bytes = await fs.readFile(this.#path(id));
    return bytes.subarray(bytes.indexOf(LF) + 1);
  }

  /** Forgets one. @throws when it cannot be removed */
  async remove(id: MessageId): Promise<void> {
    await fs.rm(this.#path(id), { force: true });
    this.#forget(id);
  }

  /** Lets go of the timer; nothing is removed any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#loading?.catch(() => undefined);
    this.#callOff?.();
  }

  #path(id: MessageId): string {
    return `${this.#options.folder}/${id}`;
  }

  /** Learns once what an earlier process has kept. */
  #load(): Promise<void> {
    this.#loading ??= this.#readFolder().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #readFolder(): Promise<void> {
    const found: { id: MessageId; bytes: number; atMs: number }[] = [];
    for (const name of await listIfPresent(this.#options.folder)) {
      const path = `${this.#options.folder}/${name}`;
      if (name.endsWith(UNFINISHED)) await fs.rm(path, { force: true });
      if (!/^\d+$/.test(name)) continue;
      const { size, mtimeMs } = await fs.stat(path);
      found.push({ id: Number(name), bytes: size, atMs: mtimeMs });
    }
    for (const { id, bytes, atMs } of found.sort((a, b) => a.atMs - b.atMs)) this.#note(id, bytes, atMs);
    await this.#prune();
  }

  #note(id: MessageId, bytes: number, atMs: number): void {
    this.#known.set(id, { bytes, atMs });
    this.#bytes += bytes;
  }

  #forget(id: MessageId): void {
    this.#bytes -= this.#known.get(id)?.bytes ?? 0;
    this.#known.delete(id);
  }

  /** Removes what is too old or too much, and comes back when the next one is too old. */
  async #prune(): Promise<void> {
    const { clock, lifetimeMs, bytesMax } = this.#options;
    this.#callOff?.();
    for (const [id, { atMs }] of this.#known) {
      const leftMs = atMs + lifetimeMs - clock.nowMs();
      if (leftMs > 0 && this.#bytes <= bytesMax) {
        if (!this.#isClosed)
          this.#callOff = clock.after(leftMs, () => void this.#prune().catch(() => undefined));
        return;
      }
      await this.remove(id);
    }
  }

  async #readHead(id: MessageId): Promise<string> {
    const file = await fs.open(this.#path(id), 'r');
    try {
      const pieces: Buffer[] = [];
      for (;;) {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES);
        const end = buffer.subarray(0, bytesRead).indexOf(LF);
        pieces.push(buffer.subarray(0, end < 0 ? bytesRead : end));
        if (end >= 0 || bytesRead === 0) return Buffer.concat(pieces).toString('latin1');
      }
    } finally {
      await file.close();
    }
  }
}

function formatHead(message: BouncedMessage): string {
  const recipients = message.recipients.map((one) => ({ ...one, address: textOf(one.address) }));
  const head: Head = { ...message, sender: textOf(message.sender), recipients };
  return JSON.stringify(head);
}

function parseHead(text: string): BouncedMessage {
  const head: Head = JSON.parse(text);
  const recipients = head.recipients.map((one) => ({ ...one, address: bytesOf(one.address) }));
  return { ...head, sender: bytesOf(head.sender), recipients };
}

/** Those of a home, kept as its control files say. @throws SystemError */
export function openBounced(home: string, clock: Clock): BouncedFiles {
  return new BouncedFiles({
    folder: `${home}/bounced`,
    lifetimeMs: readControlNumber(home, 'bouncedlifetime', LIFETIME_SECONDS) * 1000,
    bytesMax: readControlNumber(home, 'bouncedbytes', BYTES_MAX),
    clock,
  });
}
