// The instructions of a dot-qmail file, one by one as they are to be carried out, and what the end of a program means.
// Nothing is parsed beyond the first byte of a line: addresses and commands are used as they stand.
// Source: the dot-qmail and qmail-command manual pages.

import { bytesOf, equalBytes, findByte, untilNul } from '../bytes/bytes.ts';
import { trimRight } from '../format/control-file.ts';

/** What to do with a message. */
export interface DotQmailInstruction {
  readonly type: 'mbox' | 'maildir' | 'program' | 'forward';
  /** File name, command or address, as the line has it. What is used of it ends before its first NUL, if it has one. */
  readonly text: Uint8Array;
}

/** A line that counts: an instruction, `blank` where none may be (the first line), or `forward-only` from here on. */
export type DotQmailLine =
  | DotQmailInstruction
  | { readonly type: 'blank' }
  | { readonly type: 'forward-only' };

const LF = 10;
const HASH = 35;
const AMPERSAND = 38;
const PLUS = 43;
const DOT = 46;
const SLASH = 47;
const BAR = 124;
const LIST = bytesOf('+list');

/** Reads a file's lines; a last line without LF counts. Memory does not grow with their number. */
export class DotQmailReader {
  readonly #content: Uint8Array;
  #from = 0;

  /** @param content is not copied */
  constructor(content: Uint8Array) {
    this.#content = content;
  }

  /** The next line that counts, or undefined at the end; an empty file has one blank line. */
  next(): DotQmailLine | undefined {
    const content = this.#content;
    while (this.#from === 0 || this.#from < content.length) {
      const from = this.#from;
      const lf = findByte(content, LF, from);
      const end = lf < 0 ? content.length : lf;
      this.#from = end + 1;
      const line = parseLine(trimRight(content.subarray(from, end)), from === 0);
      if (line !== undefined) return line;
    }
    return undefined;
  }
}

function parseLine(line: Uint8Array, isFirst: boolean): DotQmailLine | undefined {
  const first = line[0];
  if (first === undefined || first === 0) return isFirst ? { type: 'blank' } : undefined;
  if (first === HASH) return undefined;
  if (first === PLUS) return equalBytes(untilNul(line), LIST) ? { type: 'forward-only' } : undefined;
  if (first === DOT || first === SLASH) {
    return { type: line[line.length - 1] === SLASH ? 'maildir' : 'mbox', text: line };
  }
  if (first === BAR) return { type: 'program', text: line.subarray(1) };
  return { type: 'forward', text: first === AMPERSAND ? line.subarray(1) : line };
}

/** What a program's exit code asks for: go on, ignore the rest of the file, fail for good, or try again later. */
export type ProgramVerdict = 'success' | 'stop' | 'permanent' | 'temporary';

const STOP = 99;
const PERMANENT = [100, 64, 65, 70, 76, 77, 78, 112];

/** What a program's exit code means for the delivery. */
export function verdictOfProgram(exit: number): ProgramVerdict {
  if (exit === 0) return 'success';
  if (exit === STOP) return 'stop';
  return PERMANENT.indexOf(exit) >= 0 ? 'permanent' : 'temporary';
}
