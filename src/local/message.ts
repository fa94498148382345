// The message on descriptor 0, read from its beginning as often as needed. Node cannot move the position of a descriptor,
// so it is read by position; a program gets a descriptor of its own that stands at the beginning.
// Invariant: input that cannot be read from its beginning, or was closed, is a failure and never an empty message.

import { closeSync, constants, openSync } from 'node:fs';
import { writeBlocking } from '../host/blocking-io.ts';
import { errorText } from '../host/error-text.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { type DeliveryFailure, deferral } from './delivery-failure.ts';
import { makeNamelessFile } from './nameless-file.ts';

const CHUNK_BYTES = 65_536;
/** Opens the file behind descriptor 0 anew, on Linux; elsewhere a name like this is not there, or shares the position. */
const INPUT_ANEW = '/proc/self/fd/0';

/** The message in pieces, each valid until the next one. @throws DeliveryFailure or, if it cannot be read, SystemError */
export function* readMessage(): Generator<Uint8Array, void, void> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; ; ) {
    const count = readAt(buffer, at);
    if (count === 0) return;
    at += count;
    yield buffer.subarray(0, count);
  }
}

function readAt(buffer: Uint8Array, position: number): number {
  try {
    return readStandardInput(buffer, position);
  } catch (error) {
    const code = error instanceof SystemError ? errorCode(error.cause) : undefined;
    if (code === 'ESPIPE' || code === 'EBADF') throw deferral('Unable to rewind message. (#4.3.0)');
    throw error;
  }
}

/** What to say of an error while the message was read. */
export function unreadableMessage(error: unknown): DeliveryFailure {
  return deferral('Unable to read message: ', errorText(error), '. (#4.3.0)');
}

/** A new descriptor at the beginning of the message. The caller closes it. @throws DeliveryFailure */
export function openMessage(): number {
  try {
    // Finds out whether there is a beginning to go to.
    readAt(new Uint8Array(1), 0);
  } catch (error) {
    throw error instanceof SystemError ? unreadableMessage(error) : error;
  }
  try {
    return openSync(INPUT_ANEW, constants.O_RDONLY);
  } catch {
    return openCopy();
  }
}

/** A copy of the message in a file without a name. */
function openCopy(): number {
  try {
    const { writing, reading } = makeNamelessFile('qmail-local');
    try {
      for (const piece of readMessage()) writeBlocking(writing, piece);
      return reading;
    } finally {
      closeSync(writing);
    }
  } catch (error) {
    if (error instanceof SystemError && error.operation === 'read') throw unreadableMessage(error);
    throw deferral('Unable to copy message: ', errorText(error), '. (#4.3.0)');
  }
}
