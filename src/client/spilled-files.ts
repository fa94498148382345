// The messages that wait in users' folders, as flush sees them: reading one, and changing what its name says of it.
// Invariants: only a regular file of the folder's own user is read, and as much of it as its name says; a name that must last
// is on the disk when the call returns.

import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { formatSpillName, type SpillName } from '../core/format/spill-name.ts';
import { parseSpilled, type SpilledMessage } from '../core/format/spilled-message.ts';
import { readBlocking } from '../host/blocking-io.ts';
import { errorCode } from '../host/system-error.ts';
import { UNFINISHED } from './spill.ts';
import { flushDescriptor, type SpillFolder } from './spill-folder.ts';

/** A message that waits. */
export interface Waiting {
  readonly folder: SpillFolder;
  readonly name: SpillName;
}

/** What a file holds, and when it came; or why it cannot be used, or that it is not there any more. */
export type SpilledContent =
  | (SpilledMessage & { readonly arrivedMs: number })
  | 'gone'
  | 'damaged'
  | 'too large';

/** A file that is being written is complete, or given up, long before. */
const ABANDONED_AFTER_MS = 12 * 3_600_000;

/** The path of a message for people. */
export function pathOf({ folder, name }: Waiting): string {
  return `${folder.path}/${formatSpillName(name)}`;
}

/** Reads a message. @param bytesMax what is read into memory at most @throws the platform's error */
export function readWaiting({ folder, name }: Waiting, bytesMax: number): SpilledContent {
  let descriptor: number;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    descriptor = openSync(folder.inside(formatSpillName(name)), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return 'gone';
    if (code === 'ELOOP' || code === 'ENXIO') return 'damaged';
    throw error;
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile() || status.uid !== folder.uid || status.size !== name.size) return 'damaged';
    if (name.size > bytesMax) return 'too large';
    const content = new Uint8Array(name.size);
    for (let at = 0; at < content.length; ) {
      const count = readBlocking(descriptor, content.subarray(at), at);
      if (count === 0) return 'damaged';
      at += count;
    }
    const message = parseSpilled(content);
    return message === undefined ? 'damaged' : { ...message, arrivedMs: status.mtimeMs };
  } finally {
    closeSync(descriptor);
  }
}

/** Seconds since a message came; 0 if the clock was set back since, or nobody knows. */
export function ageOf({ folder, name }: Waiting, nowMs: number): number {
  try {
    const { mtimeMs } = statSync(folder.inside(formatSpillName(name)));
    return Math.max(0, Math.floor((nowMs - mtimeMs) / 1000));
  } catch {
    return 0;
  }
}

/** Gives a message another name. @param lasting whether that must outlive a power cut @throws the platform's error */
export function rename({ folder, name }: Waiting, to: SpillName, lasting = false): Waiting {
  const [before, after] = [formatSpillName(name), formatSpillName(to)];
  if (before !== after) renameSync(folder.inside(before), folder.inside(after));
  if (lasting) flushDescriptor(folder.descriptor);
  return { folder, name: to };
}

/** Removes a message that a server has; one that its owner has removed is fine. @throws the platform's error */
export function remove({ folder, name }: Waiting): void {
  rmSync(folder.inside(formatSpillName(name)), { force: true });
  flushDescriptor(folder.descriptor);
}

/** Removes what programs have left that were stopped while they wrote. Nothing that goes wrong there matters. */
export function removeAbandoned(folder: SpillFolder, nowMs: number): void {
  try {
    for (const file of readdirSync(folder.inside('.'))) {
      if (!file.startsWith(UNFINISHED)) continue;
      const path = folder.inside(file);
      if (statSync(path).mtimeMs < nowMs - ABANDONED_AFTER_MS) unlinkSync(path);
    }
  } catch {}
}
