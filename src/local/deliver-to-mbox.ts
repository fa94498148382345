// Appends the message to an mbox file. Reported as done only when it is on stable storage; a failure cuts the file to its old
// length, as long as the lock has kept others from appending. Source: the mbox manual page.
// Differs: a file that was replaced while the lock was waited for is opened anew; a message in the one that is gone is lost.

import { closeSync, fstatSync, fsyncSync, ftruncateSync } from 'node:fs';
import { concatBytes, untilNul } from '../core/bytes/bytes.ts';
import { MboxQuoter } from '../core/format/mbox.ts';
import type { DeliveryLines } from '../core/policy/dot-qmail-environment.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { errorText } from '../host/error-text.ts';
import { lockFile } from '../host/file-lock.ts';
import { flushFolderOf } from '../host/flush-folder.ts';
import { openForAppend } from '../host/locked-file.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { DeliveryFailure, deferral } from './delivery-failure.ts';
import { readMessage, unreadableMessage } from './message.ts';
import type { LocalPlatform } from './platform.ts';

/** What a delivery to a file needs. */
export interface MboxDelivery {
  /** As the instruction has it. */
  readonly file: Uint8Array;
  readonly lines: DeliveryLines;
  /** For the program that locks. */
  readonly env: Environment;
  readonly platform: Pick<LocalPlatform, 'lockWaitMs'>;
}

/** Delivers the message on descriptor 0. @throws DeliveryFailure */
export function deliverToMbox({ file, lines, env, platform }: MboxDelivery): void {
  const name = untilNul(file);
  const path = Buffer.from(name);
  const lock = new MboxLock(env, platform.lockWaitMs);
  const descriptor = open(path, lock);
  try {
    const { size } = fstatSync(descriptor);
    try {
      append(descriptor, lines);
      fsyncSync(descriptor);
      // The name may be new.
      if (size === 0) flushFolderOf(path);
    } catch (error) {
      if (lock.isHeld) cutQuietly(descriptor, size);
      throw error;
    }
  } catch (error) {
    if (error instanceof DeliveryFailure) throw error;
    if (error instanceof SystemError && error.operation === 'read') throw unreadableMessage(error);
    throw deferral('Unable to write ', name, ': ', errorText(error), '. (#4.3.0)');
  } finally {
    closeSync(descriptor);
  }
}

function open(path: Buffer, lock: MboxLock): number {
  try {
    return openForAppend(path, (descriptor) => lock.take(descriptor));
  } catch (error) {
    if (error instanceof DeliveryFailure) throw error;
    throw deferral('Unable to open ', path, ': ', errorText(error), '. (#4.2.1)');
  }
}

/** Waits for a lock, but not for ever, and knows whether there is one: not every file system has them. */
class MboxLock {
  readonly #env: Environment;
  readonly #waitMs: number;
  isHeld = false;

  constructor(env: Environment, waitMs: number) {
    this.#env = env;
    this.#waitMs = waitMs;
  }

  /** @throws DeliveryFailure */
  take(descriptor: number): void {
    this.isHeld = false;
    try {
      lockFile(descriptor, this.#env, this.#waitMs);
      this.isHeld = true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (errorCode(error.cause) === 'ETIMEDOUT') {
        throw deferral(`File has been locked for ${this.#waitMs / 1000} seconds straight. (#4.3.0)`);
      }
      // Differs: without anybody to lock for us, the message is not written among those of others.
      if (error.operation === 'run') throw deferral('Unable to run flock: ', errorText(error), '. (#4.3.0)');
    }
  }
}

function append(descriptor: number, { from, returnPath, deliveredTo }: DeliveryLines): void {
  const quoter = new MboxQuoter();
  writeBlocking(descriptor, concatBytes([from, returnPath, deliveredTo]));
  for (const piece of readMessage()) writeBlocking(descriptor, quoter.receive(piece));
  writeBlocking(descriptor, quoter.receiveEnd());
}

/** What is no file has no length. */
function cutQuietly(descriptor: number, size: number): void {
  try {
    ftruncateSync(descriptor, size);
  } catch {}
}
