// maildirwatch: shows on a terminal, every half minute, what new mail there is. Whatever a message could do to the terminal
// is shown as a slash or a question mark. Source: the maildirwatch manual page.

import { closeSync, openSync, readSync } from 'node:fs';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { isFieldNamed } from '../core/message/header-field.ts';
import { fieldContent, printable } from '../core/message/summary.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { type Clock, SYSTEM_CLOCK } from '../host/clock.ts';
import type { ProgramWords } from '../host/program-words.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';
import { checkFolder, cleanTmp, listMessages, pathIn } from './maildir-files.ts';
import { readMessageText } from './message-text.ts';

const PROGRAM = 'maildirwatch';
const STDOUT = 1;
const ROUND_MS = 30_000;
/** Bytes of subject and body that are shown. */
const TEXT_BYTES = 158;
const CLEAR = '\x1b[;H\x1b[;J';
const BOLD = '\x1b[1m';
const PLAIN = '\x1b[0m';

/** What it shows things on, and when; both are others in tests. */
export interface WatchHost {
  readonly clock: Clock;
  /** Writes to the terminal. @throws SystemError */
  write(bytes: Uint8Array): void;
}

const THIS_TERMINAL: WatchHost = {
  clock: SYSTEM_CLOCK,
  write: (bytes) => writeBlocking(STDOUT, bytes),
};

/** Watches for ever; resolves with an exit code if it cannot go on. */
export async function runMaildirwatch({ env }: ProgramWords, host = THIS_TERMINAL): Promise<number> {
  const maildir = env.get('MAILDIR');
  if (maildir === undefined) return failTemporarily(PROGRAM, 'MAILDIR not set');
  try {
    checkFolder(maildir);
  } catch (error) {
    return failOnSystem(PROGRAM, ['chdir to ', maildir], error);
  }
  for (;;) {
    const exit = showRound(maildir, host);
    if (exit !== undefined) return exit;
    await new Promise<void>((resolve) => host.clock.after(ROUND_MS, resolve));
  }
}

/** Prints one picture; an exit code if that cannot be done. */
function showRound(maildir: Uint8Array, { clock, write }: WatchHost): number | undefined {
  const nowMs = clock.nowMs();
  cleanTmp(maildir, nowMs);
  let names: Buffer[];
  try {
    names = listMessages(maildir, 'new', nowMs).map(({ name }) => name);
  } catch (error) {
    return failOnSystem(PROGRAM, ['scan $MAILDIR/new'], error);
  }
  const parts = [bytesOf(CLEAR)];
  try {
    for (const name of names) parts.push(summarize(pathIn(maildir, name)));
  } catch {
    return failTemporarily(PROGRAM, 'trouble reading new message');
  }
  try {
    write(concatBytes(parts));
  } catch (error) {
    return failOnSystem(PROGRAM, ['write'], error);
  }
  return undefined;
}

/** What is shown of a message; nothing if it has gone meanwhile. @throws the platform's error */
function summarize(path: Buffer): Uint8Array {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return new Uint8Array(0);
  }
  try {
    return readSummary(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function readSummary(descriptor: number): Uint8Array {
  const none: Uint8Array = new Uint8Array(0);
  const shown = { sender: bytesOf('?'), recipient: bytesOf('?'), from: none };
  const read = (buffer: Uint8Array) => readSync(descriptor, buffer, 0, buffer.length, null);
  const text = readMessageText(read, TEXT_BYTES, (field) => {
    const content = fieldContent(field);
    if (content.length === 0) return;
    // The last byte of a field is its LF.
    const value = printable(content.subarray(0, content.length - 1), '?');
    if (isFieldNamed(field, 'return-path')) shown.sender = value;
    else if (isFieldNamed(field, 'delivered-to')) shown.recipient = value;
    else if (isFieldNamed(field, 'from')) shown.from = printable(field.subarray(0, field.length - 1), '/');
  });
  const parts = ['FROM ', shown.sender, ' TO <', shown.recipient, '>\n'];
  if (shown.from.length > 0) parts.push(BOLD, shown.from, `${PLAIN}\n`);
  parts.push(printable(text, '/'), '\n\n');
  return concatBytes(parts.map((part) => (typeof part === 'string' ? bytesOf(part) : part)));
}
