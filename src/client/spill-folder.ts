// Where a client keeps messages while no server takes them: control/spilldir, a folder that users share as they share /tmp, and
// in it one folder per user, named by the user's number, that nobody else may look into. root may, and trusts nothing there.
// Invariant: everything is done through descriptors of folders that were checked, so that no link can lead elsewhere.

import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
} from 'node:fs';
import { parseSpillName, type SpillName } from '../core/format/spill-name.ts';
import { readControlLine, readControlNumber } from '../host/control.ts';
import { errorCode, SystemError } from '../host/system-error.ts';

/** What the control files say. */
export interface SpillSettings {
  /** The shared folder, absolute. */
  readonly path: string;
  /** Bytes and messages that one user may have there. */
  readonly bytesMax: number;
  readonly countMax: number;
}

/** The folder of one user, open. */
export interface SpillFolder {
  readonly uid: number;
  /** For people. */
  readonly path: string;
  readonly descriptor: number;
  /** The path of a file in this very folder, whatever has its name by now. */
  inside(name: string): string;
}

const BYTES_MAX = 104_857_600;
const COUNT_MAX = 1000;
const OTHERS_WRITE = 0o022;
const OTHERS = 0o077;
const STICKY = 0o1000;
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const DESCRIPTORS = '/proc/self/fd';

/** Undefined if messages are not to be kept, as without control/spilldir. @throws SystemError */
export function readSpillSettings(home: string): SpillSettings | undefined {
  const folder = readControlLine(home, 'spilldir');
  if (folder === undefined || folder.length === 0) return undefined;
  const path = Buffer.from(folder).toString();
  return {
    path: path.startsWith('/') ? path : `${home}/${path}`,
    bytesMax: readControlNumber(home, 'spillbytes', BYTES_MAX),
    countMax: readControlNumber(home, 'spillcount', COUNT_MAX),
  };
}

/** The number of the user that this process acts as. */
export function ownUid(): number {
  return process.geteuid?.() ?? 0;
}

/**
 * Opens the folder of a user; undefined if there is none, and `make` does not ask for one.
 * @param make whether to make one that is not there; the name is on the disk then, as it is if it was there
 * @throws SystemError with the remedy if a folder cannot be trusted or used
 */
export function openSpillFolder(path: string, uid: number, make = false): SpillFolder | undefined {
  const shared = openShared(path);
  try {
    const own = reach(shared, path, uid);
    if (make && !existsSync(`${own}/${uid}`)) mkdirIfAbsent(`${own}/${uid}`);
    const descriptor = openFolder(`${own}/${uid}`, `${path}/${uid}`, !make);
    if (descriptor === undefined) return undefined;
    const folder = checkOwn(descriptor, `${path}/${uid}`, uid);
    // Whoever made it may have been stopped before it was on the disk.
    if (make) flushDescriptor(shared);
    return folder;
  } finally {
    closeSync(shared);
  }
}

/** Numbers of the users who have a folder there. @throws SystemError */
export function listSpillUsers(path: string): number[] {
  const shared = openShared(path);
  try {
    const names = readdirSync(existsSync(DESCRIPTORS) ? `${DESCRIPTORS}/${shared}` : path);
    const numbers = names.filter((name) => /^(?:0|[1-9]\d{0,9})$/.test(name)).map(Number);
    return numbers.sort((a, b) => a - b);
  } finally {
    closeSync(shared);
  }
}

/** The messages of a folder, in no order. @throws the platform's error */
export function listSpilled(folder: SpillFolder): SpillName[] {
  const names: SpillName[] = [];
  for (const file of readdirSync(folder.inside('.'))) {
    const name = parseSpillName(file);
    if (name !== undefined) names.push(name);
  }
  return names;
}

/** Flushes a folder's entries. @throws the platform's error */
export function flushDescriptor(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Some file systems cannot flush folders, and say so.
    if (errorCode(error) !== 'EINVAL') throw error;
  }
}

function openShared(path: string): number {
  const descriptor = openFolder(path, path, false)!;
  const { uid, mode } = fstatSync(descriptor);
  const isWritable = (mode & OTHERS_WRITE) !== 0;
  if (uid !== 0 && uid !== ownUid())
    return refuse(descriptor, path, `it belongs to user ${uid}; chown root it`);
  if (isWritable && (mode & STICKY) === 0) {
    return refuse(descriptor, path, 'users could remove what others have there; chmod 1777 it');
  }
  return descriptor;
}

/** The path by which the shared folder's entries are used. */
function reach(shared: number, path: string, uid: number): string {
  if (existsSync(DESCRIPTORS)) return `${DESCRIPTORS}/${shared}`;
  if (uid === ownUid()) return path;
  throw new SystemError(
    'use',
    `${path}/${uid}`,
    `there is no ${DESCRIPTORS}, without which its owner could mislead others`,
  );
}

/** @returns undefined if it is absent, and that is fine */
function openFolder(path: string, shown: string, mayBeAbsent: boolean): number | undefined {
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const code = errorCode(error);
    if (mayBeAbsent && code === 'ENOENT') return undefined;
    const reasons: { [code: string]: string } = {
      ENOENT: 'it does not exist; install -d -m 1777 makes it',
      ENOTDIR: 'it is no folder',
      ELOOP: 'it is a symbolic link; name the folder itself',
      EACCES: 'it may not be read; chmod 1777 it',
    };
    throw new SystemError('use', shown, reasons[code ?? ''] ?? error);
  }
}

function checkOwn(descriptor: number, path: string, uid: number): SpillFolder {
  const status = fstatSync(descriptor);
  if (status.uid !== uid)
    return refuse(descriptor, path, `it belongs to user ${status.uid}; root must remove it`);
  if ((status.mode & OTHERS) !== 0) return refuse(descriptor, path, 'others have rights in it; chmod 700 it');
  const base = existsSync(DESCRIPTORS) ? `${DESCRIPTORS}/${descriptor}` : path;
  return { uid, path, descriptor, inside: (name) => `${base}/${name}` };
}

function refuse(descriptor: number, path: string, reason: string): never {
  closeSync(descriptor);
  throw new SystemError('use', path, reason);
}

function mkdirIfAbsent(path: string): void {
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}
