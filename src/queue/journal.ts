// The journal: numbered, preallocated segments that records are appended to in groups, each group with one write that
// flushes. It knows order, tears and failed writes; it does not know what the records mean.
// Invariant: when append resolves, the record is on stable storage and every later opening replays it, until its segment is retired.
// docs/internals/queue.md describes the files.

import type { Files, OpenFile } from '../host/files.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import {
  decodeRecord,
  encodeRecord,
  type JournalRecord,
  type NewRecord,
  recordSize,
  START_RECORD_SIZE,
} from './journal-record.ts';

/** Where an appended record is. */
export interface Place {
  readonly segment: number;
  /** Offset of an accept record's bytes in the segment. */
  readonly bodyAt: number;
}

/** How a journal is kept. */
export interface JournalOptions {
  readonly files: Files;
  /** Folder of the segments; made if it does not exist. */
  readonly folder: string;
  /** Bytes of a segment as preallocated. */
  readonly segmentSize: number;
  /** Segments up to this number are obsolete: they are removed unread. */
  readonly retiredThrough: number;
  /** Called for each record found, in order, with the number of its segment. */
  readonly replay: (record: JournalRecord, segment: number) => void;
  /** The id for the next segment's start record: higher than any used. */
  readonly nextId: () => number;
}

interface Segment {
  readonly number: number;
  readonly file: OpenFile;
  /** Bytes that count. */
  end: number;
  /** A write to it failed: nothing more is appended. */
  broken: boolean;
  /** Its name is gone, though perhaps not on stable storage. */
  isRetired?: boolean;
}

interface Waiting {
  readonly record: NewRecord;
  readonly size: number;
  readonly resolve: (place: Place) => void;
  readonly reject: (error: unknown) => void;
}

const BATCH_BYTES_MAX = 1 << 20;
const FILL_BYTES = 1 << 20;
const SPARES_MAX = 2;
const SEGMENT_NAME_LENGTH = 10;

/** See the head of this file. */
export class Journal {
  readonly #files: Files;
  readonly #folder: string;
  readonly #segmentSize: number;
  readonly #nextId: () => number;
  /** Oldest first; the last one is appended to. */
  readonly #segments: Segment[] = [];
  readonly #spares: string[] = [];
  #spareSerial = 0;
  #preparing: Promise<void> | undefined;
  #waiting: Waiting[] = [];
  #pumping = false;
  #batch = Buffer.allocUnsafe(1 << 16);

  private constructor(options: JournalOptions) {
    this.#files = options.files;
    this.#folder = options.folder;
    this.#segmentSize = options.segmentSize;
    this.#nextId = options.nextId;
  }

  /**
   * Opens the journal, replays what counts, and starts a new segment.
   * @throws SystemError if a segment is missing or damaged where it must be whole, or the disk refuses
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options);
    try {
      await options.files.makeFolder(options.folder);
      await journal.#replayAll(options);
      await journal.#roll();
    } catch (error) {
      throw error instanceof SystemError ? error : new SystemError('open journal in', options.folder, error);
    }
    return journal;
  }

  /** Numbers of the segments that are kept, oldest first. */
  get segmentNumbers(): number[] {
    return this.#segments.map((segment) => segment.number);
  }

  /** Bytes of the segments that are kept, without the one that is appended to. */
  get bytes(): number {
    return (this.#segments.length - 1) * this.#segmentSize;
  }

  /**
   * Appends a record; resolves when it is on stable storage.
   * @throws SystemError if it could not be written; then it will not be replayed (see the accepted races)
   */
  append(record: NewRecord): Promise<Place> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, size: recordSize(record), resolve, reject });
      if (this.#pumping) return;
      this.#pumping = true;
      // One turn of the loop later: what arrives in the same turn shares the write.
      setImmediate(() => void this.#pump());
    });
  }

  /** Bytes of a segment that is kept. @throws SystemError */
  async read(segmentNumber: number, at: number, length: number): Promise<Uint8Array> {
    const segment = this.#segments.find((candidate) => candidate.number === segmentNumber);
    const path = this.#path(segmentNumber);
    if (segment === undefined) throw new SystemError('read', path, new Error('segment is retired'));
    try {
      const bytes = await segment.file.read(at, length);
      if (bytes.length === length) return bytes;
      throw new Error(`file ends at ${at + bytes.length}`);
    } catch (error) {
      throw new SystemError('read', path, error);
    }
  }

  /**
   * Drops the oldest segment; durable when it resolves. Never drops the one that is appended to.
   * @throws SystemError; the next call goes on where it failed
   */
  async retireOldest(): Promise<void> {
    const [oldest] = this.#segments;
    if (oldest === undefined || this.#segments.length === 1) return;
    const path = this.#path(oldest.number);
    try {
      if (oldest.isRetired !== true) {
        // Whoever uses a spare flushes the folder first, which makes the loss of the old name durable as well.
        const spare = this.#spares.length < SPARES_MAX ? this.#sparePath() : undefined;
        await (spare === undefined ? this.#files.remove(path) : this.#files.rename(path, spare));
        oldest.isRetired = true;
        if (spare !== undefined) this.#spares.push(spare);
      }
      await this.#files.flushFolder(this.#folder);
      this.#segments.shift();
      await oldest.file.close();
    } catch (error) {
      throw new SystemError('retire', path, error);
    }
  }

  /** Waits for what is under way and closes the files. */
  async close(): Promise<void> {
    await this.#preparing;
    for (const segment of this.#segments) await segment.file.close();
    this.#segments.length = 0;
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#writeGroup(this.#takeGroup());
      // One turn again: the replies of this group go out, and what they let in joins the next.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#pumping = false;
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (
      count < this.#waiting.length &&
      (count === 0 || bytes + this.#waiting[count]!.size <= BATCH_BYTES_MAX)
    ) {
      bytes += this.#waiting[count++]!.size;
    }
    if (count === this.#waiting.length) {
      const group = this.#waiting;
      this.#waiting = [];
      return group;
    }
    return this.#waiting.splice(0, count);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    let bytes = 0;
    for (const { size } of group) bytes += size;
    let segment: Segment | undefined;
    try {
      segment = await this.#segmentFor(bytes);
      const places: Place[] = [];
      const buffer = this.#encodeGroup(group, bytes, segment, places);
      await segment.file.write(buffer, segment.end);
      segment.end += bytes;
      for (let i = 0; i < group.length; i++) group[i]!.resolve(places[i]!);
    } catch (error) {
      if (segment !== undefined) segment.broken = true;
      const failure =
        error instanceof SystemError ? error : new SystemError('write to journal in', this.#folder, error);
      for (const { reject } of group) reject(failure);
    }
  }

  #encodeGroup(group: readonly Waiting[], bytes: number, segment: Segment, places: Place[]): Buffer {
    if (this.#batch.length < bytes) this.#batch = Buffer.allocUnsafe(bytes * 2);
    let at = 0;
    for (const { record, size } of group) {
      const bodyOffset = encodeRecord(record, segment.number, this.#batch, at);
      places.push({ segment: segment.number, bodyAt: segment.end + at + bodyOffset });
      at += size;
    }
    return this.#batch.subarray(0, bytes);
  }

  async #segmentFor(bytes: number): Promise<Segment> {
    const last = this.#segments.at(-1);
    const hasRoom =
      last !== undefined &&
      !last.broken &&
      (last.end + bytes <= this.#segmentSize || last.end <= START_RECORD_SIZE);
    return hasRoom ? last : await this.#roll();
  }

  /** Starts the next segment; its start record is durable when this resolves. */
  async #roll(): Promise<Segment> {
    const last = this.#segments.at(-1);
    const number = (last?.number ?? this.#lastNumber) + 1;
    await this.#preparing;
    if (this.#spares.length === 0) await this.#prepareSpareOrEmpty();
    const path = this.#path(number);
    await this.#files.rename(this.#spares.pop()!, path);
    await this.#files.flushFolder(this.#folder);
    const file = await this.#files.open(path, { sync: true });
    const segment: Segment = { number, file, end: 0, broken: false };
    try {
      const start: NewRecord = {
        type: 'start',
        previous: number - 1,
        previousLength: last?.end ?? 0,
        nextId: this.#nextId(),
      };
      const buffer = Buffer.alloc(recordSize(start));
      encodeRecord(start, number, buffer, 0);
      await file.write(buffer, 0);
      segment.end = buffer.length;
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#segments.push(segment);
    this.#prepareInBackground();
    return segment;
  }

  /** On a disk without room for a whole segment one that grows will do: verdicts on what is queued make room. */
  async #prepareSpareOrEmpty(): Promise<void> {
    try {
      await this.#prepareSpare(this.#segmentSize);
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC') throw error;
      await this.#prepareSpare(0);
    }
  }

  #prepareInBackground(): void {
    if (this.#spares.length > 0 || this.#preparing !== undefined) return;
    // A failure here shows again, and is reported, when the segment is needed.
    this.#preparing = this.#prepareSpare(this.#segmentSize)
      .catch(() => undefined)
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  /** Makes a file of zeros, so that later writes change no metadata and flush fast. */
  async #prepareSpare(size: number): Promise<void> {
    const path = this.#sparePath();
    const file = await this.#files.open(path, { create: true });
    try {
      const zeros = Buffer.alloc(Math.min(FILL_BYTES, size));
      for (let at = 0; at < size; at += zeros.length) {
        await file.write(zeros.subarray(0, Math.min(zeros.length, size - at)), at);
      }
      await file.flush();
    } catch (error) {
      await this.#files.remove(path).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
    this.#spares.push(path);
  }

  #sparePath(): string {
    return `${this.#folder}/spare-${++this.#spareSerial}`;
  }

  #path(number: number): string {
    return `${this.#folder}/${String(number).padStart(SEGMENT_NAME_LENGTH, '0')}`;
  }

  #lastNumber = 0;

  async #replayAll(options: JournalOptions): Promise<void> {
    this.#lastNumber = options.retiredThrough;
    const numbers: number[] = [];
    for (const name of await this.#files.list(this.#folder)) {
      const number = name.length === SEGMENT_NAME_LENGTH ? Number(name) : Number.NaN;
      if (number > options.retiredThrough) numbers.push(number);
      else if (number >= 0 || name.startsWith('spare-')) await this.#files.remove(`${this.#folder}/${name}`);
    }
    numbers.sort((a, b) => a - b);
    const starts: (JournalRecord & { type: 'start' })[] = [];
    for (const number of numbers) {
      const start = await this.#readStart(number);
      // Only the newest can lack its start record: the crash came between its naming and its first write.
      if (start === undefined && number === numbers.at(-1)) await this.#files.remove(this.#path(number));
      else if (start === undefined)
        throw new SystemError('replay', this.#path(number), new Error('start record is damaged'));
      else starts.push(start);
    }
    for (let i = 0; i < starts.length; i++) {
      const number = numbers[i]!;
      const next = starts[i + 1];
      if (next !== undefined && numbers[i + 1] !== number + 1) {
        throw new SystemError('replay', this.#path(number + 1), new Error('segment is missing'));
      }
      await this.#replaySegment(number, next?.previousLength, options.replay);
    }
  }

  async #readStart(number: number): Promise<(JournalRecord & { type: 'start' }) | undefined> {
    const file = await this.#files.open(this.#path(number), { readOnly: true });
    try {
      const head = Buffer.from(await file.read(0, START_RECORD_SIZE));
      const decoded = decodeRecord(head, 0, number);
      return decoded?.record.type === 'start' ? decoded.record : undefined;
    } finally {
      await file.close();
    }
  }

  /** @param length how far the segment counts, if its successor says so */
  async #replaySegment(
    number: number,
    length: number | undefined,
    replay: JournalOptions['replay'],
  ): Promise<void> {
    const path = this.#path(number);
    const whole = await this.#files.readWhole(path);
    const buffer = Buffer.from(whole.buffer, whole.byteOffset, whole.length);
    let at = 0;
    while (length === undefined || at < length) {
      const decoded = decodeRecord(buffer, at, number);
      if (decoded === undefined) break;
      replay(decoded.record, number);
      at = decoded.end;
    }
    if (length !== undefined && at !== length) {
      throw new SystemError('replay', path, new Error(`no valid record at offset ${at} of ${length}`));
    }
    const file = await this.#files.open(path, { readOnly: true });
    this.#segments.push({ number, file, end: at, broken: true });
  }
}
