// Delivers the message to a Maildir: written and flushed under a name in tmp, then linked into new. A reader never sees half a
// message, and nothing is reported as done before the message and its name are on stable storage.
// Source: cr.yp.to/proto/maildir.html, the maildir manual page. Differs: the new name is flushed too, a crash could lose it.

import { closeSync, fsyncSync, linkSync, openSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { bytesOf, concatBytes, untilNul } from '../core/bytes/bytes.ts';
import { safeHostName } from '../core/format/maildir-name.ts';
import type { DeliveryLines } from '../core/policy/dot-qmail-environment.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { isTemporaryError } from '../host/error-text.ts';
import { flushFolderOf } from '../host/flush-folder.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { DeliveryFailure, deferral } from './delivery-failure.ts';
import { readMessage } from './message.ts';
import type { LocalPlatform } from './platform.ts';

/** What a delivery to a Maildir needs. */
export interface MaildirDelivery {
  /** As the instruction has it. */
  readonly folder: Uint8Array;
  readonly lines: DeliveryLines;
  /** Deliveries that this process has begun, by what {@link deliverToMaildir} knows a folder by; it counts there. */
  readonly begun: Map<string, number>;
  readonly platform: LocalPlatform;
}

const HOST_BYTES_MAX = 63;
const TRIES = 3;
const RETRY_MS = 2_000;
/** A file in tmp that is older may be removed by a reader. */
const TIME_MAX_MS = 86_400_000;

/** A delivery, and which one of this process to that folder: two in one second must have two names. */
type CountedDelivery = MaildirDelivery & { readonly count: number };

/** Delivers the message on descriptor 0. @throws DeliveryFailure */
export function deliverToMaildir(delivery: MaildirDelivery): void {
  const folder = Buffer.concat([untilNul(delivery.folder), bytesOf('/')]);
  const count = countBegun(folder, delivery.begun);
  try {
    deliver(folder, { ...delivery, count });
  } catch (error) {
    if (error instanceof DeliveryFailure) throw error;
    const isRead = error instanceof SystemError && error.operation === 'read';
    throw isRead ? deferral('Unable to read message. (#4.3.0)') : troubled();
  }
}

/** Which delivery of this process to the folder this is, from 1 on. */
function countBegun(folder: Buffer, begun: Map<string, number>): number {
  let status: Stats;
  try {
    // The dot needs the right to search the folder.
    status = statSync(Buffer.concat([folder, bytesOf('.')]));
  } catch (error) {
    throw isTemporaryError(error) ? troubled() : deferral('Unable to chdir to maildir. (#4.2.1)');
  }
  const identity = `${status.dev}:${status.ino}`;
  const count = (begun.get(identity) ?? 0) + 1;
  begun.set(identity, count);
  return count;
}

function troubled(): DeliveryFailure {
  return deferral('Temporary error on maildir delivery. (#4.3.0)');
}

function deliver(folder: Buffer, delivery: CountedDelivery): void {
  const deadlineMs = delivery.platform.nowMs() + TIME_MAX_MS;
  const { descriptor, name } = create(folder, delivery);
  const tmp = pathOf(folder, 'tmp', name);
  const stored = pathOf(folder, 'new', name);
  try {
    try {
      write(descriptor, delivery, deadlineMs);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    linkSync(tmp, stored);
  } finally {
    removeQuietly(tmp);
  }
  try {
    flushFolderOf(stored);
  } catch (error) {
    // It will be delivered again; take this copy back if that is still possible.
    removeQuietly(stored);
    throw error;
  }
}

/** Makes the file in tmp, under a name that nobody has. */
function create(folder: Buffer, delivery: CountedDelivery): { descriptor: number; name: string } {
  for (let attempt = 1; ; attempt++) {
    const name = nameOf(delivery);
    try {
      return { descriptor: openSync(pathOf(folder, 'tmp', name), 'wx', 0o644), name };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' || attempt === TRIES) throw error;
      delivery.platform.pause(RETRY_MS);
    }
  }
}

/** `SECONDS.PID.HOST`, from the second delivery to the folder on `SECONDS.PID_COUNT.HOST`. */
function nameOf({ platform, count }: CountedDelivery): string {
  const seconds = Math.floor(platform.nowMs() / 1000);
  const mark = count === 1 ? '' : `_${count}`;
  return `${seconds}.${platform.pid}${mark}.${safeHostName(platform.hostName().slice(0, HOST_BYTES_MAX))}`;
}

function pathOf(folder: Buffer, part: 'tmp' | 'new', name: string): Buffer {
  return Buffer.concat([folder, bytesOf(`${part}/`), Buffer.from(name)]);
}

function write(descriptor: number, { lines, platform }: MaildirDelivery, deadlineMs: number): void {
  writeBlocking(descriptor, concatBytes([lines.returnPath, lines.deliveredTo]));
  for (const piece of readMessage()) {
    writeBlocking(descriptor, piece);
    if (platform.nowMs() > deadlineMs) throw deferral('Timeout on maildir delivery. (#4.3.0)');
  }
}

function removeQuietly(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch {}
}
