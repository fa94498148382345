// A Maildir from a reader's side: which messages are there, and what a delivery that died has left behind. Paths are bytes.
// Source: cr.yp.to/proto/maildir.html.

import { readdirSync, type Stats, statSync, unlinkSync } from 'node:fs';

/** A message as listed. */
export interface MaildirMessage {
  /** `new/NAME` or `cur/NAME`. */
  readonly name: Buffer;
  /** Time of delivery, ms since 1970; whole seconds count. */
  readonly timeMs: number;
}

/** The folders of a Maildir that hold messages. */
export type MaildirPart = 'new' | 'cur';

const DOT = 46;
const SLASH = Buffer.from('/');
const SECOND_MS = 1000;
/** A file in tmp that nobody has looked at for so long is of no delivery that still goes on. */
const ABANDONED_AFTER_S = 129_600;

/** The path of something in a folder; an absolute name stays as it is, and so does the empty one. */
export function pathIn(folder: Uint8Array, name: Uint8Array): Buffer {
  if (name.length === 0 || name[0] === SLASH[0]) return Buffer.from(name);
  return Buffer.concat([folder, SLASH, name]);
}

/** @throws the platform's error if the folder cannot be worked in */
export function checkFolder(folder: Uint8Array): void {
  // The dot needs the right to search the folder; without a folder it would be the root.
  statSync(folder.length === 0 ? Buffer.from(folder) : pathIn(folder, Buffer.from('.')));
}

/** Removes what was left in tmp. Nothing that goes wrong there matters. */
export function cleanTmp(maildir: Uint8Array, nowMs: number): void {
  try {
    for (const path of visibleFiles(pathIn(maildir, Buffer.from('tmp')))) {
      const status = statusOf(path);
      if (status === undefined) continue;
      if (secondsOf(nowMs) > secondsOf(status.atimeMs) + ABANDONED_AFTER_S) {
        try {
          unlinkSync(path);
        } catch {}
      }
    }
  } catch {}
}

/**
 * The messages of a part, oldest first; those of the present second are left for the next time, and whatever disappears
 * meanwhile is left out.
 * @throws the platform's error if the folder cannot be read
 */
export function listMessages(maildir: Uint8Array, part: MaildirPart, nowMs: number): MaildirMessage[] {
  const folder = pathIn(maildir, Buffer.from(part));
  const messages: MaildirMessage[] = [];
  for (const path of visibleFiles(folder)) {
    const status = statusOf(path);
    if (status === undefined || secondsOf(status.mtimeMs) >= secondsOf(nowMs)) continue;
    messages.push({ name: path.subarray(maildir.length + 1), timeMs: status.mtimeMs });
  }
  return messages.sort((a, b) => a.timeMs - b.timeMs);
}

function visibleFiles(folder: Buffer): Buffer[] {
  return readdirSync(folder, { encoding: 'buffer' })
    .filter((name) => name[0] !== DOT)
    .map((name) => pathIn(folder, name));
}

function statusOf(path: Buffer): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function secondsOf(ms: number): number {
  return Math.floor(ms / SECOND_MS);
}
