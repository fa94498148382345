// Mail in mbox files, as qmail writes it: a From line, the message with its own lines of that kind quoted ("mboxrd", which
// can be undone), an empty line. The message comes in pieces of any size; memory does not grow with it, but for a line that
// begins with many `>`.
// Source: the mbox manual page of qmail.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes, startsWith } from '../bytes/bytes.ts';
import { formatMboxDate } from '../message/date.ts';

const TAB = 9;
const LF = 10;
const SPACE = 32;
const DASH = 45;
const QUOTE = 62;
const FROM = bytesOf('From ');
const RETURN_PATH = bytesOf('Return-Path: <');
const NULL_SENDER = bytesOf('MAILER-DAEMON');
/** Three capital X, for a sender that is not known. */
const NO_SENDER = new Uint8Array([88, 88, 88]);

/**
 * The line that begins a message: `From SENDER DATE` with LF. Blanks, tabs and line ends in the sender become `-`; the
 * null sender is `MAILER-DAEMON`.
 * @param time of delivery, ms since 1970
 */
export function formatFromLine(sender: Uint8Array, time: number): Uint8Array {
  const shown = new Uint8Array(sender.length);
  for (let i = 0; i < sender.length; i++) {
    const byte = sender[i]!;
    shown[i] = byte === SPACE || byte === TAB || byte === LF ? DASH : byte;
  }
  const name = sender.length === 0 ? NULL_SENDER : shown;
  return concatBytes([FROM, name, bytesOf(` ${formatMboxDate(time)}\n`)]);
}

/**
 * The sender of a message as delivered to a Maildir: what its first line, a Return-Path field, has between `<` and its
 * last two bytes. Three capital X if the first line is something else. The line is given with its LF.
 */
export function senderOfFirstLine(line: Uint8Array): Uint8Array {
  if (!startsWith(line, RETURN_PATH) || line[line.length - 1] !== LF) return NO_SENDER;
  const from = RETURN_PATH.length;
  if (line[from] === QUOTE) return new Uint8Array(0);
  return line.subarray(from, Math.max(line.length - 2, from));
}

/** Quotes the lines of one message. Give it all pieces, then take the end. */
export class MboxQuoter {
  /** What the line that has begun consists of, as long as it may become one to be quoted. */
  readonly #held = new ByteBuffer(64);
  /** Whether the line has shown what it is. */
  #isDecided = false;
  /** How much of `From ` was seen in the line that has begun. */
  #seen = 0;
  #isInLine = false;

  /** The quoted form of the next piece; what may yet have to be quoted is kept back. */
  receive(piece: Uint8Array): Uint8Array {
    const output = new ByteBuffer(piece.length + 64);
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!;
      this.#isInLine = byte !== LF;
      if (this.#isDecided) output.appendByte(byte);
      else this.#decide(byte, output);
      if (byte === LF) this.#isDecided = false;
    }
    return output.toBytes();
  }

  /** What ends the message: the rest, an LF if its last line has none, and the empty line. */
  receiveEnd(): Uint8Array {
    const output = new ByteBuffer(16);
    output.append(this.#held.view());
    this.#held.clear();
    if (this.#isInLine) output.appendByte(LF);
    output.appendByte(LF);
    return output.toBytes();
  }

  #decide(byte: number, output: ByteBuffer): void {
    this.#held.appendByte(byte);
    if (this.#seen === 0 && byte === QUOTE) return;
    if (byte === FROM[this.#seen]) {
      this.#seen++;
      if (this.#seen < FROM.length) return;
      output.appendByte(QUOTE);
    }
    output.append(this.#held.view());
    this.#held.clear();
    this.#seen = 0;
    this.#isDecided = true;
  }
}
