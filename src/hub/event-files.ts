// The events of each message's life, kept in HOME/events for some time: a JSON object a line, in files that are only ever
// appended to, one or more a day. Written in batches behind the work; nothing is flushed to the disk, so that a crash of the
// hub may lose the events of the last second, and a power cut some more. Mail does not depend on them, and never waits.

import { promises as fs } from 'node:fs';
import type { Clock } from '../host/clock.ts';
import { readControlNumber } from '../host/control.ts';
import { listIfPresent } from '../host/list-folder.ts';
import { createJsonLog, type Facts, type Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';

/** Two weeks. */
const LIFETIME_SECONDS = 1_209_600;
const BYTES_MAX = 1 << 30;
/** A part of all bytes: what is removed at once when there are too many. */
const FILES_AT_LEAST = 16;
const BATCH_MS = 1000;
const BATCH_BYTES = 256 << 10;
/** What may wait for a disk that does not keep up, bytes; what is more is lost, and counted. */
const WAITING_BYTES_MAX = 16 << 20;
const DAY_MS = 86_400_000;
/** Has a number, and tells nothing that the end of the delivery does not. */
const QUIET = ['delivery.start', 'message.end'];

/** Where the files of a home are. */
export function eventFolder(home: string): string {
  return `${home}/events`;
}

/** Names of the files in a folder, oldest first; none if there is no folder. */
export async function listEventFiles(folder: string): Promise<string[]> {
  const names = await listIfPresent(folder);
  return names.filter((name) => /^\d{4}-\d\d-\d\d\.\d{4}\.jsonl$/.test(name)).sort();
}

/** How events are kept. */
export interface EventFilesOptions {
  readonly folder: string;
  readonly lifetimeMs: number;
  readonly bytesMax: number;
  readonly clock: Clock;
  /** Is told of trouble, once until it works again. */
  readonly log: Log;
}

/** Keeps events in files; see the head of this file. */
export class EventFiles implements Log {
  readonly #options: EventFilesOptions;
  readonly #format: Log;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #callOff: (() => void) | undefined;
  #writing = Promise.resolve();
  #file: { readonly handle: fs.FileHandle; readonly day: string; bytes: number } | undefined;
  #inTrouble = false;

  constructor(options: EventFilesOptions) {
    this.#options = options;
    const { clock } = options;
    this.#format = createJsonLog(
      (line) => this.#take(line),
      () => clock.nowMs(),
    );
  }

  /** Takes an event if it is about a message, which its fact `id` says. Returns at once. */
  write(event: string, facts: Facts): void {
    if (typeof facts['id'] !== 'number' || QUIET.includes(event)) return;
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#lost++;
    else this.#format.write(event, facts);
  }

  /** Writes what waits, and lets go of the file; what comes later opens it again. */
  async close(): Promise<void> {
    this.#flush();
    await this.#writing;
    await this.#file?.handle.close().catch(() => undefined);
    this.#file = undefined;
  }

  #take(line: string): void {
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (this.#waiting.length === 1) {
      this.#callOff = this.#options.clock.after(BATCH_MS, () => this.#flush());
    } else if (this.#callOff !== undefined && this.#waitingBytes > BATCH_BYTES) this.#flush();
  }

  #flush(): void {
    this.#callOff?.();
    this.#callOff = undefined;
    this.#writing = this.#writing.then(() => this.#writeBatch());
  }

  async #writeBatch(): Promise<void> {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (text === '') return;
    try {
      if (this.#lost > 0) {
        this.#options.log.write('events.lost', { count: this.#lost });
        this.#lost = 0;
      }
      const file = await this.#open();
      const { bytesWritten } = await file.handle.write(text);
      file.bytes += bytesWritten;
      this.#inTrouble = false;
    } catch (error) {
      if (!this.#inTrouble) this.#options.log.write('events.trouble', { reason: reasonOf(error) });
      this.#inTrouble = true;
      await this.#file?.handle.close().catch(() => undefined);
      this.#file = undefined;
    }
  }

  /** The file to append to; a new one when the day or the size says so. */
  async #open() {
    const { folder, bytesMax, clock } = this.#options;
    const day = new Date(clock.nowMs()).toISOString().slice(0, 10);
    const fileBytesMax = bytesMax / FILES_AT_LEAST;
    if (this.#file !== undefined) {
      if (this.#file.day === day && this.#file.bytes < fileBytesMax) return this.#file;
      await this.#file.handle.close();
      this.#file = undefined;
    }
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const newest = (await listEventFiles(folder)).filter((name) => name.startsWith(day)).at(-1);
    let serial = newest === undefined ? 1 : Number(newest.slice(11, 15));
    const isFull = newest !== undefined && (await fs.stat(`${folder}/${newest}`)).size >= fileBytesMax;
    if (isFull) serial++;
    const handle = await fs.open(`${folder}/${day}.${String(serial).padStart(4, '0')}.jsonl`, 'a', 0o600);
    this.#file = { handle, day, bytes: (await handle.stat()).size };
    // Ends a line that a crash has cut off.
    if (this.#file.bytes > 0) await handle.write('\n');
    await this.#prune();
    return this.#file;
  }

  /** Removes files that are too old, or too many bytes; never the newest. */
  async #prune(): Promise<void> {
    const { folder, lifetimeMs, bytesMax, clock } = this.#options;
    const names = (await listEventFiles(folder)).reverse();
    let bytes = 0;
    for (const [i, name] of names.entries()) {
      bytes += (await fs.stat(`${folder}/${name}`)).size;
      const endMs = Date.parse(name.slice(0, 10)) + DAY_MS;
      const isOver = endMs + lifetimeMs < clock.nowMs() || bytes > bytesMax;
      if (i > 0 && isOver) await fs.rm(`${folder}/${name}`, { force: true });
    }
  }
}

/** A log that goes to two; and the second one, and how to end it. */
export interface HubEvents {
  readonly log: Log;
  readonly events: Log;
  close(): Promise<void>;
}

/** Keeps the events of a home as its control files say, beside the log. @throws SystemError */
export function openHubEvents(home: string, clock: Clock, log: Log): HubEvents {
  const lifetimeMs = readControlNumber(home, 'eventlifetime', LIFETIME_SECONDS) * 1000;
  const bytesMax = readControlNumber(home, 'eventbytes', BYTES_MAX);
  if (lifetimeMs === 0) return { log, events: { write: () => undefined }, close: async () => undefined };
  const events = new EventFiles({ folder: eventFolder(home), lifetimeMs, bytesMax, clock, log });
  const both: Log = {
    write(event, facts) {
      log.write(event, facts);
      events.write(event, facts);
    },
  };
  return { log: both, events, close: () => events.close() };
}
