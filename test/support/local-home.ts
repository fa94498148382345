// A home with a user of this machine who gets mail: somebody else than root, who must not, or whoever runs the tests.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from './client-vectors.ts';

/** User and group `nobody`, by number, as most systems have them. */
const NOBODY = 65534;
const EVERYBODY_MAY_ENTER = 0o001;
const PROGRAMS = ['qmail-local', 'qmail-getpw', 'hub-lspawn'];

/** Whether the tests run as root, so that others can be users. */
export const IS_ROOT = process.getuid?.() === 0;

/** Why there cannot be a user other than root, or undefined. */
export function whyNoUser(): string | undefined {
  if (!IS_ROOT) return undefined;
  for (let folder = ROOT; folder !== '/'; folder = dirname(folder))
    if ((statSync(folder).mode & EVERYBODY_MAY_ENTER) === 0) return `nobody but root may enter ${folder}`;
  return undefined;
}

/** See the head of this file. */
export class LocalHome {
  readonly path: string;
  readonly uid = IS_ROOT ? NOBODY : (process.getuid?.() ?? 0);
  readonly gid = IS_ROOT ? NOBODY : (process.getgid?.() ?? 0);
  /** The user's home directory. */
  readonly folder: string;

  /** @param users lines of users/assign, where UID:GID:HOME stands for those of the user */
  constructor(users: readonly string[]) {
    this.path = mkdtempSync(join(tmpdir(), 'local-'));
    this.folder = join(this.path, 'joe');
    for (const name of ['control', 'users', 'bin', 'run', 'joe']) mkdirSync(join(this.path, name));
    for (const folder of ['', 'bin', 'joe', 'run']) chmodSync(join(this.path, folder), 0o755);
    if (IS_ROOT) chownSync(this.folder, this.uid, this.gid);
    for (const name of PROGRAMS) symlinkSync(join(ROOT, 'bin', name), join(this.path, 'bin', name));
    symlinkSync(join(ROOT, 'bin/hub-queue'), join(this.path, 'bin/qmail-queue'));
    this.control('me', 'hub.example\n');
    if (users.length > 0) this.assign(users);
  }

  /** Writes users/assign, and compiles it. */
  assign(users: readonly string[]): void {
    const text = users.map((line) => line.replace('UID:GID:HOME', `${this.uid}:${this.gid}:${this.folder}`));
    writeFileSync(join(this.path, 'users/assign'), [...text, '.', ''].join('\n'));
    const { status } = spawnSync(join(ROOT, 'bin/qmail-newu'), { env: { QMAILHOME: this.path } });
    if (status !== 0) throw new Error(`qmail-newu ended with ${status}`);
  }

  control(name: string, content: string): void {
    writeFileSync(join(this.path, 'control', name), content);
  }

  /** Writes a file of the user. */
  put(name: string, content: string): void {
    writeFileSync(join(this.folder, name), content);
    if (IS_ROOT) chownSync(join(this.folder, name), this.uid, this.gid);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'latin1');
  }

  /** Contents of the messages in a Maildir of the user, made with {@link makeMaildir}. */
  readMaildir(name: string): string[] {
    return readdirSync(join(this.folder, name, 'new')).map((file) => this.read(join(name, 'new', file)));
  }

  /** Removes the user's files, but no folders. */
  empty(): void {
    for (const entry of readdirSync(this.folder, { withFileTypes: true }))
      if (entry.isFile()) rmSync(join(this.folder, entry.name));
  }

  /** Resolves when a file of the user has content. */
  async untilWritten(name: string): Promise<void> {
    const hasContent = () => (statSync(join(this.folder, name), { throwIfNoEntry: false })?.size ?? 0) > 0;
    const watcher = watch(this.folder);
    try {
      while (!hasContent()) await once(watcher, 'change');
    } finally {
      watcher.close();
    }
  }

  /** Puts another file in the place of a program. */
  replaceProgram(name: string, path: string): void {
    rmSync(join(this.path, 'bin', name));
    symlinkSync(path, join(this.path, 'bin', name));
  }

  makeMaildir(name: string): void {
    for (const part of ['', 'tmp', 'new', 'cur']) {
      const path = join(this.folder, name, part);
      mkdirSync(path, { recursive: true });
      if (IS_ROOT) chownSync(path, this.uid, this.gid);
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Whether a process has ended, be it that nobody has asked for its exit code yet. */
export function hasEnded(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}
