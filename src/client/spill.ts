// Keeps a message on the client when no server has taken it for now, if control/spilldir says so; mini-qmail flush sends it
// later. Invariant: success is said only when the message, its envelope and its name are on stable storage; whatever goes
// wrong leaves the temporary failure that there was, so that the caller keeps the message.

import { closeSync, constants, existsSync, fsyncSync, openSync, renameSync, unlinkSync } from 'node:fs';
import type { ServerAddress } from '../core/format/server-list.ts';
import { compareArrival, formatSpillName, nextSpillName, type SpillName } from '../core/format/spill-name.ts';
import { formatSpilled } from '../core/format/spilled-message.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { errorCode, reasonOf, SystemError } from '../host/system-error.ts';
import {
  flushDescriptor,
  listSpilled,
  openSpillFolder,
  ownUid,
  readSpillSettings,
  type SpillFolder,
  type SpillSettings,
} from './spill-folder.ts';
import { hubNumber } from './spill-hub.ts';

/** A message that no server took, and how the attempt ended. */
export interface Spilling {
  readonly home: string;
  /** Exit code of a queue program. */
  readonly exit: number;
  /** Whether a server may have the message although the exit code is a temporary failure. */
  readonly isUnknown: boolean;
  /** Which one. */
  readonly server: ServerAddress | undefined;
  readonly message: readonly Uint8Array[];
  readonly envelope: Uint8Array;
}

/** What became of it: the exit code that holds now, and words for people if there is something to say. */
export interface Spilled {
  readonly exit: number;
  readonly notice?: string;
}

/** What another attempt later may mend. Trouble of this host is none of it: then nothing of what is kept could be relied on. */
const SERVERS_FAILED: readonly number[] = [
  QUEUE_EXIT.serverTemporary,
  QUEUE_EXIT.connectTimeout,
  QUEUE_EXIT.connectRefused,
  QUEUE_EXIT.connectionLost,
];

/** What a file is called until it is complete; whoever left one behind had not said that it is kept. */
export const UNFINISHED = 'tmp.';
const NAMES_TRIED_MAX = 100;

/** Keeps the message if all servers have failed for now and it is to be kept then. Never throws. */
export function spillIfNeeded(spilling: Spilling): Spilled {
  const { exit, home } = spilling;
  if (!SERVERS_FAILED.includes(exit)) return { exit };
  try {
    const settings = readSpillSettings(home);
    if (settings === undefined) return { exit };
    const path = keep(settings, spilling);
    return {
      exit: QUEUE_EXIT.accepted,
      notice: `no mail server takes mail now; the message waits in ${path}`,
    };
  } catch (error) {
    const cause = error instanceof SystemError ? error : new SystemError('keep', 'the message', error);
    return { exit, notice: reasonOf(cause) };
  }
}

/** @returns the folder */
function keep(settings: SpillSettings, { isUnknown, server, message, envelope }: Spilling): string {
  const parts = formatSpilled(envelope, message);
  if (parts === undefined) throw new Error('its envelope is malformed');
  const folder = openSpillFolder(settings.path, ownUid(), true)!;
  try {
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    const present = listSpilled(folder);
    checkRoom(settings, folder, present, size);
    const last = present.sort(compareArrival).at(-1);
    const nowMs = Date.now();
    const name = nextSpillName(nowMs, process.pid, size, last);
    // Only the server that may have it, and only by this very request, can tell.
    const doubt = { unknownSince: Math.floor(nowMs / 1000), hub: server && hubNumber(server) };
    store(folder, parts, isUnknown ? { ...name, ...doubt } : name);
    return folder.path;
  } finally {
    closeSync(folder.descriptor);
  }
}

function checkRoom(
  { bytesMax, countMax }: SpillSettings,
  { path }: SpillFolder,
  present: readonly SpillName[],
  size: number,
): void {
  const bytes = present.reduce((sum, name) => sum + name.size, size);
  if (present.length >= countMax) {
    throw new SystemError(
      'use',
      path,
      `it has ${present.length} messages, and control/spillcount allows no more`,
    );
  }
  if (bytes > bytesMax) {
    throw new SystemError(
      'use',
      path,
      `with this message it would have ${bytes} bytes, and control/spillbytes allows ${bytesMax}`,
    );
  }
}

/** Writes the file under another name, and gives it the real one when it is on the disk. */
function store(folder: SpillFolder, parts: readonly Uint8Array[], wanted: SpillName): void {
  const { descriptor, file } = createFile(folder, wanted);
  const unfinished = folder.inside(UNFINISHED + file);
  const path = folder.inside(file);
  let written = unfinished;
  try {
    try {
      for (const part of parts) writeBlocking(descriptor, part);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, path);
    written = path;
    flushDescriptor(folder.descriptor);
  } catch (error) {
    removeQuietly(written);
    throw error;
  }
}

/** Makes a file under a name that no other message has: a process in another container may have our number at the same time. */
function createFile(folder: SpillFolder, wanted: SpillName): { descriptor: number; file: string } {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  for (let i = 0; ; i++) {
    const file = formatSpillName({ ...wanted, pid: wanted.pid + i });
    const unfinished = folder.inside(UNFINISHED + file);
    try {
      const descriptor = openSync(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      // Whoever has the first name by now made it under the second, which is ours since.
      if (!existsSync(folder.inside(file))) return { descriptor, file };
      closeSync(descriptor);
      unlinkSync(unfinished);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' || i >= NAMES_TRIED_MAX) throw error;
    }
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {}
}
