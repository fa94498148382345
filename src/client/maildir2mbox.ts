// maildir2mbox: moves the messages of a Maildir to an mbox file, for readers that know nothing else. A new file is written
// beside the old one and takes its place in one step, flushed, before any message is removed: a crash at any moment
// leaves each message in one of the two places at least.
// Source: the maildir2mbox and mbox manual pages. Differs, since the original loses mail there: an unterminated last
// line is kept; the lock is on the file that is there now, not on one that has been replaced; the new name is flushed.

import { closeSync, constants, fsyncSync, openSync, readSync, renameSync, unlinkSync } from 'node:fs';
import { concatBytes, findByte } from '../core/bytes/bytes.ts';
import { formatFromLine, MboxQuoter, senderOfFirstLine } from '../core/format/mbox.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { errorText } from '../host/error-text.ts';
import { lockFile } from '../host/file-lock.ts';
import { flushFolderOf } from '../host/flush-folder.ts';
import { openForAppend } from '../host/locked-file.ts';
import type { ProgramWords } from '../host/program-words.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';
import { checkFolder, cleanTmp, listMessages, type MaildirMessage, pathIn } from './maildir-files.ts';
import { insist, Trouble } from './trouble.ts';

const PROGRAM = 'maildir2mbox';
const CHUNK_BYTES = 65_536;
const LF = 10;

/** The three names that it is told, and where they are. */
interface Places {
  readonly maildir: Uint8Array;
  readonly mail: Uint8Array;
  readonly mailtmp: Uint8Array;
  readonly env: Environment;
}

/** Runs maildir2mbox to its end; returns its exit code. */
export function runMaildir2mbox({ env }: ProgramWords): number {
  process.umask(0o077);
  const mail = env.get('MAIL');
  if (mail === undefined) return failTemporarily(PROGRAM, 'MAIL not set');
  const mailtmp = env.get('MAILTMP');
  if (mailtmp === undefined) return failTemporarily(PROGRAM, 'MAILTMP not set');
  const maildir = env.get('MAILDIR');
  if (maildir === undefined) return failTemporarily(PROGRAM, 'MAILDIR not set');
  try {
    moveMail({ maildir, mail, mailtmp, env });
    return 0;
  } catch (error) {
    if (error instanceof Trouble) return failOnSystem(PROGRAM, error.action, error.cause);
    throw error;
  }
}

/** @throws Trouble */
function moveMail(places: Places): void {
  const { maildir, mail, mailtmp } = places;
  insist(['chdir to ', maildir], () => checkFolder(maildir));
  const nowMs = Date.now();
  cleanTmp(maildir, nowMs);
  const found = (['new', 'cur'] as const).flatMap((part) =>
    insist([`scan $MAILDIR/${part}`], () => listMessages(maildir, part, nowMs)),
  );
  if (found.length === 0) return;
  const messages = found.sort((a, b) => a.timeMs - b.timeMs);

  const mailPath = pathIn(maildir, mail);
  const tmpPath = pathIn(maildir, mailtmp);
  const lock = insist(['lock ', mail], () => openForAppend(mailPath, (file) => lockFile(file, places.env)));
  const old = insist(['read ', mail], () => openSync(mailPath, constants.O_RDONLY));
  const { O_WRONLY, O_CREAT, O_TRUNC } = constants;
  const tmp = insist(['create ', mailtmp], () => openSync(tmpPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644));
  const write = (bytes: Uint8Array) => insist(['write to ', mailtmp], () => writeBlocking(tmp, bytes));
  forEachChunk(old, ['read ', mail], write);
  for (const message of messages) appendMessage(maildir, message, write);
  insist(['write to ', mailtmp], () => {
    fsyncSync(tmp);
    closeSync(tmp);
  });
  insist(['move ', mailtmp, ' to ', mail], () => {
    renameSync(tmpPath, mailPath);
    flushFolderOf(mailPath);
  });
  for (const message of messages) removeMessage(maildir, message);
  closeSync(lock);
}

/** Reads a file in pieces and closes it; a piece is valid until the next one. @throws Trouble */
function forEachChunk(
  descriptor: number,
  action: readonly (string | Uint8Array)[],
  take: (chunk: Uint8Array) => void,
): void {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const count = insist(action, () => readSync(descriptor, buffer, 0, CHUNK_BYTES, null));
    if (count === 0) break;
    take(buffer.subarray(0, count));
  }
  closeSync(descriptor);
}

/** @throws Trouble */
function appendMessage(
  maildir: Uint8Array,
  message: MaildirMessage,
  write: (bytes: Uint8Array) => void,
): void {
  const action = ['read $MAILDIR/', message.name];
  const descriptor = insist(action, () => openSync(pathIn(maildir, message.name), constants.O_RDONLY));
  const quoter = new MboxQuoter();
  /** The message up to the end of its first line, as long as that was not seen. */
  let start: Uint8Array[] | undefined = [];
  const begin = (whole: Uint8Array) => {
    const firstLine = whole.subarray(0, findByte(whole, LF) + 1);
    start = undefined;
    write(formatFromLine(senderOfFirstLine(firstLine), message.timeMs));
    write(quoter.receive(whole));
  };
  forEachChunk(descriptor, action, (chunk) => {
    if (start === undefined) return write(quoter.receive(chunk));
    start.push(Uint8Array.from(chunk));
    if (findByte(chunk, LF) >= 0) begin(concatBytes(start));
  });
  if (start !== undefined) begin(concatBytes(start));
  write(quoter.receiveEnd());
}

function removeMessage(maildir: Uint8Array, { name }: MaildirMessage): void {
  try {
    unlinkSync(pathIn(maildir, name));
  } catch (error) {
    const what = ' will be delivered twice; unable to unlink: ';
    complain(
      Buffer.concat([
        Buffer.from(`${PROGRAM}: warning: $MAILDIR/`),
        name,
        Buffer.from(`${what}${errorText(error)}\n`),
      ]),
    );
  }
}
