// The file system as the installer needs it: every change is one step that is wholly there or not at all, so that a run that
// ends anywhere can be repeated or undone. Below a root, as with make's DESTDIR: paths are those of the finished
// installation, and only this file knows where they are now.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorText } from '../host/error-text.ts';
import { flushFolderOf } from '../host/flush-folder.ts';
import { errorCode, SystemError } from '../host/system-error.ts';

/** What is at a path; a link is not followed. Hashes are SHA-256 in hexadecimal. */
export type Look =
  | { readonly kind: 'missing' | 'folder' | 'other' }
  | { readonly kind: 'file'; readonly hash: string; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string };

/** What a file shall hold: these bytes, or those of another file, named by its present path. */
export type Content = Uint8Array | { readonly copyOf: string };

/** Everything that the installer does to a file system. All failures are a SystemError. */
export interface Disk {
  look(path: string): Look;
  /** Whether there is a folder, or a link to one. */
  isFolder(path: string): boolean;
  list(folder: string): string[];
  read(path: string): Uint8Array;
  /** Bytes that can still be written below the folder, or below the next one above that exists. */
  freeBytes(folder: string): number;
  /** Makes one folder with mode 0755. */
  makeFolder(path: string): void;
  /** Puts a file in place, in one step and on stable storage. */
  writeFile(path: string, content: Content, mode: number): void;
  /** Puts a symbolic link in place, in one step. */
  makeLink(path: string, target: string): void;
  /** Gives what is at `path` a second name. */
  keep(path: string, keptAt: string): void;
  rename(from: string, to: string): void;
  /** Removes a file or link; one that does not exist is fine. */
  remove(path: string): void;
  removeFolder(path: string): void;
  /** Puts the entries of the folder that a path is in on stable storage. */
  flushFolderOf(path: string): void;
}

/** Folders and programs; the umask does not count. */
export const MODE_PROGRAM = 0o755;
/** All other files. */
export const MODE_FILE = 0o644;

/** Where a file stands until it is whole; a run that was ended may leave one. */
export function unfinishedName(path: string): string {
  return join(dirname(path), `.${basename(path)}.mini-qmail-new`);
}

/** SHA-256 of a content, in hexadecimal. @throws SystemError */
export function hashOf(content: Content): string {
  if (content instanceof Uint8Array) return createHash('sha256').update(content).digest('hex');
  return attempt('read', content.copyOf, () => hashFile(content.copyOf));
}

/** Length of a content in bytes. @throws SystemError */
export function sizeOf(content: Content): number {
  if (content instanceof Uint8Array) return content.length;
  return attempt('read', content.copyOf, () => fs.statSync(content.copyOf).size);
}

function attempt<T>(operation: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const text = errorText(error);
    throw new SystemError(operation, path, text === 'unknown error' ? error : text);
  }
}

/** Nothing is at a path, either, that leads through a file. */
function statIfPresent(stat: () => fs.Stats): fs.Stats | undefined {
  try {
    return stat();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

const CHUNK_BYTES = 1 << 20;

/** Hashes a file piece by piece: the interpreter has 150 MB. */
function hashFile(path: string): string {
  const hash = createHash('sha256');
  const chunk = new Uint8Array(CHUNK_BYTES);
  const fd = fs.openSync(path, 'r');
  try {
    for (let count = fs.readSync(fd, chunk); count > 0; count = fs.readSync(fd, chunk)) {
      hash.update(chunk.subarray(0, count));
    }
  } finally {
    fs.closeSync(fd);
  }
  return hash.digest('hex');
}

/** The machine's file system below a folder; an empty root is the machine's own. */
export class RootedDisk implements Disk {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  #at<T>(operation: string, path: string, run: (real: string) => T): T {
    const real = this.#root + path;
    return attempt(operation, real, () => run(real));
  }

  look(path: string): Look {
    return this.#at('look at', path, (real) => {
      const stat = statIfPresent(() => fs.lstatSync(real));
      if (stat === undefined) return { kind: 'missing' };
      if (stat.isSymbolicLink()) return { kind: 'link', target: fs.readlinkSync(real) };
      if (stat.isFile()) return { kind: 'file', hash: hashFile(real), mode: stat.mode & 0o7777 };
      return { kind: stat.isDirectory() ? 'folder' : 'other' };
    });
  }

  isFolder(path: string): boolean {
    return this.#at(
      'look at',
      path,
      (real) => statIfPresent(() => fs.statSync(real))?.isDirectory() === true,
    );
  }

  list(folder: string): string[] {
    return this.#at('list', folder, (real) => fs.readdirSync(real));
  }

  read(path: string): Uint8Array {
    return this.#at('read', path, (real) => fs.readFileSync(real));
  }

  freeBytes(folder: string): number {
    return this.#at('look at', folder, (real) => {
      let above = real;
      while (!fs.existsSync(above) && dirname(above) !== above) above = dirname(above);
      const { bavail, bsize } = fs.statfsSync(above);
      return bavail * bsize;
    });
  }

  makeFolder(path: string): void {
    this.#at('create folder', path, (real) => {
      if (this.#root !== '') fs.mkdirSync(this.#root, { recursive: true });
      fs.mkdirSync(real);
      fs.chmodSync(real, MODE_PROGRAM);
    });
  }

  writeFile(path: string, content: Content, mode: number): void {
    this.#at('write', path, (real) => {
      replace(real, (unfinished) => {
        if (content instanceof Uint8Array) fs.writeFileSync(unfinished, content, { flag: 'wx' });
        else
          fs.copyFileSync(
            content.copyOf,
            unfinished,
            fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE,
          );
        fs.chmodSync(unfinished, mode);
        const fd = fs.openSync(unfinished, 'r');
        try {
          fs.fsyncSync(fd);
        } finally {
          fs.closeSync(fd);
        }
      });
    });
  }

  makeLink(path: string, target: string): void {
    this.#at('link', path, (real) => replace(real, (unfinished) => fs.symlinkSync(target, unfinished)));
  }

  keep(path: string, keptAt: string): void {
    this.#at('keep aside', path, (real) => {
      const kept = this.#root + keptAt;
      fs.rmSync(kept, { force: true });
      try {
        // With two names there is no moment without the file.
        fs.linkSync(real, kept);
      } catch (error) {
        if (!['EPERM', 'EMLINK', 'ENOTSUP'].includes(errorCode(error) ?? '')) throw error;
        fs.renameSync(real, kept);
      }
    });
  }

  rename(from: string, to: string): void {
    this.#at('restore', to, (real) => fs.renameSync(this.#root + from, real));
  }

  remove(path: string): void {
    this.#at('remove', path, (real) => fs.rmSync(real, { force: true }));
  }

  removeFolder(path: string): void {
    this.#at('remove folder', path, (real) => fs.rmdirSync(real));
  }

  flushFolderOf(path: string): void {
    this.#at('flush the folder of', path, (real) => flushFolderOf(Buffer.from(real)));
  }
}

/** Makes something under a name of its own, and gives it the real one when it is whole. */
function replace(path: string, make: (unfinished: string) => void): void {
  const unfinished = unfinishedName(path);
  fs.rmSync(unfinished, { force: true });
  try {
    make(unfinished);
    fs.renameSync(unfinished, path);
  } catch (error) {
    fs.rmSync(unfinished, { force: true });
    throw error;
  }
}
