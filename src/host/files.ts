// The file system behind a small interface, so that tests can put a disk under the queue that fails or forgets. Only what
// a durable queue needs: positional reads and writes, flushes of data and of directory entries, and the moves between names.

import * as fs from 'node:fs';

/** An open file. Positions and lengths are bytes. */
export interface OpenFile {
  /** Writes all bytes at the position; on a file opened with `sync` they are on stable storage when it resolves. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Reads up to `length` bytes; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Flushes data and the metadata needed to read it back. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** How to open: `create` fails if the name exists; `sync` flushes the data of each write before it resolves. */
export interface OpenMode {
  readonly create?: boolean;
  readonly sync?: boolean;
  readonly readOnly?: boolean;
}

/** What the queue needs of a file system. Errors are the platform's, with `code`. */
export interface Files {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  readWhole(path: string): Promise<Uint8Array>;
  list(folder: string): Promise<string[]>;
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; one that does not exist is fine. */
  remove(path: string): Promise<void>;
  /** Flushes a folder's entries: names made, moved or removed in it are on stable storage afterwards. */
  flushFolder(path: string): Promise<void>;
}

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

// The callback API: on the commit path it costs a third of what node:fs/promises does.
function promised<T>(start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
}

class NodeFile implements OpenFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const from = done;
      done += await promised<number>((cb) => {
        fs.write(this.#fd, bytes, from, bytes.length - from, position + from, cb);
      });
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const from = done;
      const count = await promised<number>((cb) => {
        fs.read(this.#fd, bytes, from, length - from, position + from, cb);
      });
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  flush(): Promise<void> {
    return promised<void>((cb) => fs.fdatasync(this.#fd, (error) => cb(error, undefined)));
  }

  close(): Promise<void> {
    return promised<void>((cb) => fs.close(this.#fd, (error) => cb(error ?? null, undefined)));
  }
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;
const FILE_MODE = 0o600;

/** The machine's file system. */
export const NODE_FILES: Files = {
  async open(path, mode) {
    let flags = mode.readOnly === true ? O_RDONLY : O_RDWR;
    if (mode.create === true) flags |= O_CREAT | O_EXCL;
    if (mode.sync === true) flags |= O_DSYNC;
    return new NodeFile(await promised<number>((cb) => fs.open(path, flags, FILE_MODE, cb)));
  },
  readWhole: (path) => promised<Buffer>((cb) => fs.readFile(path, cb)),
  list: (folder) => promised<string[]>((cb) => fs.readdir(folder, cb)),
  makeFolder: (path) =>
    promised<void>((cb) => fs.mkdir(path, { recursive: true, mode: 0o700 }, (error) => cb(error, undefined))),
  rename: (from, to) => promised<void>((cb) => fs.rename(from, to, (error) => cb(error, undefined))),
  // Not rm: that looks twice at what it is first.
  remove: (path) =>
    promised<void>((cb) =>
      fs.unlink(path, (error) => cb(error?.code === 'ENOENT' ? null : error, undefined)),
    ),
  async flushFolder(path) {
    const fd = await promised<number>((cb) => fs.open(path, O_RDONLY, cb));
    try {
      await promised<void>((cb) => fs.fsync(fd, (error) => cb(error, undefined)));
    } finally {
      fs.closeSync(fd);
    }
  },
};
