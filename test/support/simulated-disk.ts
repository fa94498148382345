// A disk in memory that forgets and fails. Writes that were not flushed and names whose folder was not flushed may or may
// not survive a crash, a write that is under way may be torn between sectors, and any operation can be made to fail or to be the last.

import type { Files, OpenFile, OpenMode } from '../../src/host/files.ts';

const SECTOR = 512;

/** What goes wrong, by the number of the operation, counted from 1. */
export interface Fault {
  /** The operation is the last thing that happens: it may be half done, and nothing after it happens. */
  readonly dieAt?: number;
  /** Operations for which this is true fail with the code and do nothing. */
  readonly fail?: (operation: number, kind: OperationKind) => string | undefined;
}

/** Kinds of operations that can fail. */
export type OperationKind =
  | 'open'
  | 'create'
  | 'write'
  | 'read'
  | 'flush'
  | 'rename'
  | 'remove'
  | 'flush-folder'
  | 'make-folder'
  | 'list';

class SimulatedFile {
  current: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  /** Writes since the last flush, oldest first. */
  unflushed: { at: number; bytes: Buffer }[] = [];
}

type Names = Map<string, SimulatedFile>;

/** A small generator of pseudo-random numbers from 0 to below 1; the seed decides all of them. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** See the head of this file. */
export class SimulatedDisk implements Files {
  #names: Names = new Map();
  #durableNames: Names = new Map();
  /** Changes of names since their folder was flushed. */
  #unflushedNames: { folder: string; path: string; file: SimulatedFile | undefined; from?: string }[] = [];
  #fault: Fault;
  readonly #random: () => number;
  operations = 0;
  isDead = false;

  constructor(random: () => number, fault: Fault = {}) {
    this.#random = random;
    this.#fault = fault;
  }

  /** Changes what goes wrong from now on; operations are counted on. */
  setFault(fault: Fault): void {
    this.#fault = fault;
  }

  /** The disk as the next start finds it: everything flushed, and any part of what was not. */
  afterCrash(): SimulatedDisk {
    const next = new SimulatedDisk(this.#random);
    const names: Names = new Map(this.#durableNames);
    for (const change of this.#unflushedNames) if (this.#random() < 0.5) apply(names, change);
    const copies = new Map<SimulatedFile, SimulatedFile>();
    for (const [path, file] of names) {
      const copy = copies.get(file) ?? this.#survivor(file);
      copies.set(file, copy);
      next.#names.set(path, copy);
      next.#durableNames.set(path, copy);
    }
    return next;
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    this.#step(mode.create === true ? 'create' : 'open');
    let file = this.#names.get(path);
    if (mode.create === true) {
      if (file !== undefined) throw fault('EEXIST', path);
      file = new SimulatedFile();
      this.#setName(path, file);
    }
    if (file === undefined) throw fault('ENOENT', path);
    return this.#handle(file, mode.sync === true, path);
  }

  async readWhole(path: string): Promise<Uint8Array> {
    this.#step('read');
    const file = this.#names.get(path);
    if (file === undefined) throw fault('ENOENT', path);
    return Buffer.from(file.current);
  }

  async list(folder: string): Promise<string[]> {
    this.#step('list');
    const names: string[] = [];
    for (const path of this.#names.keys())
      if (folderOf(path) === folder) names.push(path.slice(folder.length + 1));
    return names;
  }

  async makeFolder(): Promise<void> {
    this.#step('make-folder');
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step('rename');
    const file = this.#names.get(from);
    if (file === undefined) throw fault('ENOENT', from);
    // A rename is one change: a crash leaves the old name or the new one, never both or none.
    this.#names.delete(from);
    this.#names.set(to, file);
    if (folderOf(from) !== folderOf(to)) throw new Error('renames between folders are not simulated');
    this.#unflushedNames.push({ folder: folderOf(to), path: to, file, from });
  }

  async remove(path: string): Promise<void> {
    this.#step('remove');
    if (this.#names.has(path)) this.#setName(path, undefined);
  }

  async flushFolder(path: string): Promise<void> {
    this.#step('flush-folder');
    for (const change of this.#unflushedNames) {
      if (change.folder === path) apply(this.#durableNames, change);
    }
    this.#unflushedNames = this.#unflushedNames.filter((change) => change.folder !== path);
  }

  /** Paths of all files as a running process sees them. */
  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** Overwrites part of a file, on stable storage, as a broken disk would. */
  damage(path: string, at: number, bytes: Uint8Array): void {
    const file = this.#names.get(path)!;
    Buffer.from(bytes).copy(file.current, at);
    Buffer.from(bytes).copy(file.durable, at);
  }

  /** Counts an operation, and fails or dies if it is the one. */
  #step(kind: OperationKind): void {
    if (this.isDead) throw fault('EDEAD', 'the machine is off');
    this.operations++;
    const code = this.#fault.fail?.(this.operations, kind);
    if (code !== undefined) throw fault(code, kind);
    if (this.operations !== this.#fault.dieAt) return;
    this.isDead = true;
    // A write that was under way may be half done; anything else did not happen.
    if (kind !== 'write') throw fault('EDEAD', 'the machine went off');
  }

  #setName(path: string, file: SimulatedFile | undefined): void {
    if (file === undefined) this.#names.delete(path);
    else this.#names.set(path, file);
    this.#unflushedNames.push({ folder: folderOf(path), path, file });
  }

  #handle(file: SimulatedFile, sync: boolean, path: string): OpenFile {
    return {
      write: async (bytes, position) => {
        this.#step('write');
        const copy = Buffer.from(bytes);
        if (this.isDead) {
          file.unflushed.push({ at: position, bytes: copy });
          throw fault('EDEAD', path);
        }
        file.current = overlay(file.current, copy, position);
        if (sync) file.durable = overlay(file.durable, copy, position);
        else file.unflushed.push({ at: position, bytes: copy });
      },
      read: async (position, length) => {
        this.#step('read');
        return Buffer.from(file.current.subarray(position, position + length));
      },
      flush: async () => {
        this.#step('flush');
        file.durable = Buffer.from(file.current);
        file.unflushed = [];
      },
      close: async () => undefined,
    };
  }

  /** The file with any of its unflushed sectors. */
  #survivor(file: SimulatedFile): SimulatedFile {
    const copy = new SimulatedFile();
    copy.current = Buffer.from(file.durable);
    for (const { at, bytes } of file.unflushed) {
      for (let from = 0; from < bytes.length; ) {
        const to = Math.min(bytes.length, from + SECTOR - ((at + from) % SECTOR));
        if (this.#random() < 0.5) copy.current = overlay(copy.current, bytes.subarray(from, to), at + from);
        from = to;
      }
    }
    copy.durable = Buffer.from(copy.current);
    return copy;
  }
}

function apply(names: Names, change: { path: string; file: SimulatedFile | undefined; from?: string }): void {
  if (change.from !== undefined) names.delete(change.from);
  if (change.file === undefined) names.delete(change.path);
  else names.set(change.path, change.file);
}

function overlay(base: Buffer, bytes: Buffer, at: number): Buffer {
  const end = at + bytes.length;
  const result = end > base.length ? Buffer.concat([base, Buffer.alloc(end - base.length)]) : base;
  bytes.copy(result, at);
  return result;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function fault(code: string, subject: string): Error {
  return Object.assign(new Error(`${code}: ${subject}`), { code });
}
