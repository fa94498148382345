// QMQP servers that did nothing lately, remembered from process to process in one small file per user, so that not every message
// waits for the same one. Invariant: it changes the order of attempts and nothing else. Whatever is wrong with file or
// folder counts as nothing remembered; no error comes out of here. The file is replaced at once, never changed in place, and only
// in a folder in which nobody else but root could have put it.

import type { Stats } from 'node:fs';
import { textOf } from '../core/bytes/bytes.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { formatPlace } from '../core/format/server-list-place.ts';

/** What a submission asks and tells about its servers. */
export interface ServerHistory {
  /** The servers in the order in which to try them. */
  order(servers: readonly ServerAddress[]): ServerAddress[];
  /** Tells that a server let time pass. */
  silent(server: ServerAddress): void;
  /** Tells that a connection was made. */
  reached(server: ServerAddress): void;
  /** Keeps what was told. */
  save(): void;
}

/** Where to keep the file, whose it is, and what time it is. */
export interface DeadServersOptions {
  readonly home: string;
  readonly env: { readonly [name: string]: string | undefined };
  readonly nowMs: number;
  /** The user whose file it is. */
  readonly uid: number;
}

/** After the first silence, and after many without an answer in between. */
const AVOID_MIN_MS = 60_000;
const AVOID_MAX_MS = 600_000;
/** Nothing is kept for longer. */
const FORGET_MS = 3_600_000;
const ENTRIES_MAX = 64;
const FILE_BYTES_MAX = 16_384;
const COUNT_MAX = 99;
const GROUP_OR_OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

interface Silence {
  readonly sinceMs: number;
  /** Silences without an answer in between. */
  readonly count: number;
}

/** The folder for the file of a user, or undefined if there is none that can be trusted. */
export function findCacheFolder({ home, env, uid }: Omit<DeadServersOptions, 'nowMs'>): string | undefined {
  const folders = [`${home}/cache`, '/run/mini-qmail', env['XDG_RUNTIME_DIR'], env['XDG_CACHE_HOME']];
  return folders.find((folder) => folder?.startsWith('/') === true && isTrusted(folder, uid));
}

/** Whether no other user but root can replace a file there: it is the user's own, or like /tmp. */
function isTrusted(folder: string, uid: number): boolean {
  const { accessSync, constants, statSync } = process.getBuiltinModule('node:fs');
  try {
    const stats = statSync(folder);
    if (!stats.isDirectory()) return false;
    const isShared = (stats.mode & GROUP_OR_OTHERS_WRITE) !== 0;
    const isSticky = (stats.mode & STICKY) !== 0;
    if (isShared ? !isSticky || !(stats.uid === 0 || stats.uid === uid) : stats.uid !== uid) return false;
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is remembered for that user. */
export function openDeadServers(options: DeadServersOptions): ServerHistory {
  const folder = findCacheFolder(options);
  const path = folder === undefined ? undefined : `${folder}/mini-qmail-servers.${options.uid}`;
  return new DeadServers(path, options);
}

class DeadServers implements ServerHistory {
  readonly #path: string | undefined;
  readonly #nowMs: number;
  readonly #silences: Map<string, Silence>;
  #isChanged = false;

  constructor(path: string | undefined, { nowMs, uid }: DeadServersOptions) {
    this.#path = path;
    this.#nowMs = nowMs;
    this.#silences = path === undefined ? new Map() : readSilences(path, { nowMs, uid });
  }

  order(servers: readonly ServerAddress[]): ServerAddress[] {
    const isAvoided = (server: ServerAddress) => {
      const silence = this.#silences.get(formatPlace(server));
      return silence !== undefined && this.#nowMs < silence.sinceMs + avoidedMs(silence.count);
    };
    return [
      ...servers.filter((server) => !isAvoided(server)),
      ...servers.filter((server) => isAvoided(server)),
    ];
  }

  silent(server: ServerAddress): void {
    const place = formatPlace(server);
    const { count = 0 } = this.#silences.get(place) ?? {};
    this.#silences.set(place, { sinceMs: this.#nowMs, count: Math.min(count + 1, COUNT_MAX) });
    this.#isChanged = true;
  }

  reached(server: ServerAddress): void {
    if (this.#silences.delete(formatPlace(server))) this.#isChanged = true;
  }

  save(): void {
    if (!this.#isChanged || this.#path === undefined) return;
    const newestFirst = [...this.#silences].sort(([, a], [, b]) => b.sinceMs - a.sinceMs);
    const lines = newestFirst
      .slice(0, ENTRIES_MAX)
      .map(([place, { sinceMs, count }]) => `${Math.floor(sinceMs / 1000)} ${count} ${place}\n`);
    replaceFile(this.#path, lines.join(''));
    this.#isChanged = false;
  }
}

function avoidedMs(count: number): number {
  return Math.min(AVOID_MIN_MS * 2 ** (count - 1), AVOID_MAX_MS);
}

function readSilences(path: string, { nowMs, uid }: { nowMs: number; uid: number }): Map<string, Silence> {
  const found = new Map<string, Silence>();
  for (const line of readOwnFile(path, uid).split('\n').slice(0, ENTRIES_MAX)) {
    const [, seconds, count, place] = /^(\d{1,11}) (\d{1,2}) ([!-~]{1,512})$/.exec(line) ?? [];
    if (place === undefined) continue;
    const sinceMs = Number(seconds) * 1000;
    const isOfUse = sinceMs <= nowMs && nowMs - sinceMs < FORGET_MS && Number(count) > 0;
    if (isOfUse) found.set(place, { sinceMs, count: Number(count) });
  }
  return found;
}

/** The text of a file of that user; empty if there is none, or if it is anything else. */
function readOwnFile(path: string, uid: number): string {
  const fs = process.getBuiltinModule('node:fs');
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      return isOwnFile(fs.fstatSync(descriptor), uid) ? textOf(fs.readFileSync(descriptor)) : '';
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    return '';
  }
}

function isOwnFile(stats: Stats, uid: number): boolean {
  const isPrivate = (stats.mode & GROUP_OR_OTHERS_WRITE) === 0;
  return stats.isFile() && stats.uid === uid && isPrivate && stats.size <= FILE_BYTES_MAX;
}

function replaceFile(path: string, text: string): void {
  const fs = process.getBuiltinModule('node:fs');
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  // One name per process: a file left by a killed one is in nobody's way but that of the same number, which removes it.
  const temporary = `${path}.${process.pid}`;
  try {
    fs.rmSync(temporary, { force: true });
    const descriptor = fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      fs.writeSync(descriptor, text);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(temporary, path);
  } catch {
    // Then nothing is remembered.
  }
}
