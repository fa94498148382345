// A user's home directory: whether mail may be delivered there now, which file says how, and to whom bounces of a list go.
// Source: the qmail-local and dot-qmail manual pages.

import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { concatBytes } from '../core/bytes/bytes.ts';
import { DotQmailNames, dotQmailFile, safeExtension } from '../core/policy/dot-qmail-name.ts';
import { complain, readBlocking } from '../host/blocking-io.ts';
import { errorText, isTemporaryError } from '../host/error-text.ts';
import { errorCode } from '../host/system-error.ts';
import { deferral } from './delivery-failure.ts';

/** Others than owner and group may write. */
const MODE_WRITABLE = 0o002;
const MODE_STICKY = 0o1000;
const MODE_OWNER_MAY_RUN = 0o100;
const CHUNK_BYTES = 65_536;
/** More would be no list of instructions; the original has no limit. */
const FILE_BYTES_MAX = 64 << 20;
const { O_RDONLY, O_NONBLOCK } = constants;

/** A file of instructions, opened and not yet read. */
export interface DotQmailFile {
  readonly descriptor: number;
  readonly name: Uint8Array;
  /** Whether it must not ask for files or programs. */
  readonly isForwardOnly: boolean;
  /** Where in the extension begins what "default" in its name stands for. */
  readonly defaultFrom: number | undefined;
}

/**
 * Makes the home directory the working directory, if it is fit for deliveries.
 * @param mayBeSticky whether a home that is being edited is worth no more than a warning
 * @throws DeliveryFailure
 */
export function enterHome(home: Uint8Array, mayBeSticky: boolean): void {
  try {
    changeFolder(home);
  } catch (error) {
    throw deferral('Unable to switch to ', home, ': ', errorText(error), '. (#4.3.0)');
  }
  let status: Stats;
  try {
    status = statSync('.');
  } catch (error) {
    throw deferral('Unable to stat home directory: ', errorText(error), '. (#4.3.0)');
  }
  if ((status.mode & MODE_WRITABLE) !== 0) throw deferral('Uh-oh: home directory is writable. (#4.7.0)');
  if ((status.mode & MODE_STICKY) === 0) return;
  if (!mayBeSticky) throw deferral('Home directory is sticky: user is editing his .qmail file. (#4.2.1)');
  complain('Warning: home directory is sticky.\n');
}

function changeFolder(path: Uint8Array): void {
  const bytes = Buffer.from(path);
  const text = bytes.toString();
  if (Buffer.from(text).equals(bytes)) {
    process.chdir(text);
    return;
  }
  // Node takes text only; Linux has a name for a folder that is open.
  const folder = openSync(bytes, O_RDONLY);
  try {
    process.chdir(`/proc/self/fd/${folder}`);
  } finally {
    closeSync(folder);
  }
}

/** Finds and opens the file that controls an address; undefined if there is none. @throws DeliveryFailure */
export function openDotQmail(dash: Uint8Array, ext: Uint8Array): DotQmailFile | undefined {
  const names = new DotQmailNames(dash, ext);
  for (let one = names.next(); one !== undefined; one = names.next()) {
    const file = openIfRegular(one.name);
    if (file !== undefined) return { ...file, ...one };
  }
  return undefined;
}

function openIfRegular(name: Uint8Array): Pick<DotQmailFile, 'descriptor' | 'isForwardOnly'> | undefined {
  let descriptor: number | undefined;
  try {
    // A FIFO must not make us wait.
    descriptor = openSync(Buffer.from(name), O_RDONLY | O_NONBLOCK);
    const status = fstatSync(descriptor);
    if (status.isFile()) {
      if ((status.mode & MODE_WRITABLE) !== 0) throw deferral('Uh-oh: .qmail file is writable. (#4.7.0)');
      return { descriptor, isForwardOnly: (status.mode & MODE_OWNER_MAY_RUN) !== 0 };
    }
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    if (isTemporaryError(error) || code === 'EACCES' || code === 'EPERM') throw unopened(name, error);
  }
  if (descriptor !== undefined) closeSync(descriptor);
  return undefined;
}

/** The content of the file, which is closed. @throws DeliveryFailure */
export function readDotQmail({ descriptor, name }: DotQmailFile): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const buffer = new Uint8Array(CHUNK_BYTES);
      const count = readBlocking(descriptor, buffer);
      if (count === 0) return concatBytes(pieces);
      length += count;
      if (length > FILE_BYTES_MAX) break;
      pieces.push(buffer.subarray(0, count));
    }
  } catch (error) {
    throw deferral('Unable to read ', name, ': ', errorText(error), '. (#4.3.0)');
  } finally {
    closeSync(descriptor);
  }
  throw deferral('Unable to read ', name, `: more than ${FILE_BYTES_MAX >> 20} MB. (#4.3.0)`);
}

/**
 * Who is to get bounces of forwarded mail: the sender, or the owner of the list, with or without an address for each recipient.
 * Whether there is an owner depends on the address, not on the file that was found. @throws DeliveryFailure
 */
export function findOwner(dash: Uint8Array, ext: Uint8Array): 'sender' | 'owner' | 'verp' {
  const safeExt = safeExtension(ext);
  if (!exists(dotQmailFile(dash, safeExt, '-owner'))) return 'sender';
  return exists(dotQmailFile(dash, safeExt, '-owner-default')) ? 'verp' : 'owner';
}

function exists(name: Uint8Array): boolean {
  try {
    statSync(Buffer.from(name));
    return true;
  } catch (error) {
    if (isTemporaryError(error)) throw unopened(name, error);
    return false;
  }
}

function unopened(name: Uint8Array, error: unknown): Error {
  return deferral('Unable to open ', name, ': ', errorText(error), '. (#4.3.0)');
}
