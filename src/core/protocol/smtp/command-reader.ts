// Takes SMTP command lines out of a stream of bytes. Invariant: of one line no more than a fixed number of bytes is kept,
// however long it is, and each byte is looked at once.
// A line ends at LF; one CR before it belongs to the end; what follows a NUL does not count. Source: qmail-smtpd.

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { findByte, lowerCase, textOf, untilNul } from '../../bytes/bytes.ts';

/** Bytes of one command line that are kept, by default. */
export const COMMAND_LENGTH_MAX = 65_536;

/** One command. The argument is a view that holds until the next call of the reader. */
export interface SmtpCommand {
  /** What stands before the first space, in lower case; a word too long to be a verb is empty. */
  readonly verb: string;
  /** What follows the spaces after the verb. */
  readonly argument: Uint8Array;
  /** Whether the line was longer than what is kept, so that the argument has lost its end. */
  readonly isTruncated: boolean;
  readonly hasBareLf: boolean;
  readonly hasNul: boolean;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const VERB_LENGTH_MAX = 16;

/** Call {@link CommandReader.take} with what came; when a line is complete, {@link CommandReader.takeCommand} has it. */
export class CommandReader {
  readonly #lengthMax: number;
  /** The beginning of a line that came in pieces. */
  #kept: ByteBuffer | undefined;
  #isTruncated = false;
  #command: SmtpCommand | undefined;

  constructor(lengthMax = COMMAND_LENGTH_MAX) {
    this.#lengthMax = lengthMax;
  }

  /** The command that the last {@link CommandReader.take} completed, once; else undefined. */
  takeCommand(): SmtpCommand | undefined {
    const command = this.#command;
    // It would keep the bytes that it came in from being freed.
    this.#command = undefined;
    return command;
  }

  /** Takes bytes from an index on, up to the end of a line; returns the index of the first byte not taken. */
  take(bytes: Uint8Array, from: number): number {
    this.#command = undefined;
    const lf = findByte(bytes, LF, from);
    const end = lf < 0 ? bytes.length : lf;
    const piece = bytes.subarray(from, end);
    if (lf < 0) {
      this.#keep(piece);
      return end;
    }
    if (this.#kept !== undefined || piece.length > this.#lengthMax) this.#keep(piece);
    this.#command = parseCommand(this.#kept?.view() ?? piece, this.#isTruncated);
    this.#kept = undefined;
    this.#isTruncated = false;
    return end + 1;
  }

  #keep(piece: Uint8Array): void {
    this.#kept ??= new ByteBuffer();
    const room = this.#lengthMax - this.#kept.length;
    if (piece.length > room) this.#isTruncated = true;
    this.#kept.append(piece.subarray(0, Math.min(room, piece.length)));
  }
}

function parseCommand(line: Uint8Array, isTruncated: boolean): SmtpCommand {
  const hasCr = line.length > 0 && line[line.length - 1] === CR;
  const whole = hasCr ? line.subarray(0, line.length - 1) : line;
  const text = untilNul(whole);
  const space = findByte(text, SPACE);
  const verbEnd = space < 0 ? text.length : space;
  let from = verbEnd;
  while (from < text.length && text[from] === SPACE) from++;
  return {
    verb: verbEnd > VERB_LENGTH_MAX ? '' : textOf(lowerCase(text.subarray(0, verbEnd))),
    argument: text.subarray(from),
    isTruncated,
    hasBareLf: !hasCr && !isTruncated,
    hasNul: text.length < whole.length,
  };
}
