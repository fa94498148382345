// The lines that a delivery puts on top of a message, and the search for one of them, by which a message that came
// back is recognised. Source: the qmail-local and qmail-command manual pages.

import { bytesOf, concatBytes, findByte } from '../bytes/bytes.ts';
import { quoteAddress } from './quote.ts';

const LF = 10;
const UNDERSCORE = 95;

/** `Return-Path: <SENDER>` with LF; the local part is quoted where it must be, and a LF in it becomes `_`. */
export function formatReturnPath(sender: Uint8Array): Uint8Array {
  return concatBytes([bytesOf('Return-Path: <'), onOneLine(quoteAddress(sender)), bytesOf('>\n')]);
}

/** `Delivered-To: RECIPIENT` with LF, the recipient as it is but for a LF, which becomes `_`. */
export function formatDeliveredTo(recipient: Uint8Array): Uint8Array {
  return concatBytes([bytesOf('Delivered-To: '), onOneLine(recipient), bytesOf('\n')]);
}

function onOneLine(bytes: Uint8Array): Uint8Array {
  if (findByte(bytes, LF) < 0) return bytes;
  const line = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) line[i] = bytes[i] === LF ? UNDERSCORE : bytes[i]!;
  return line;
}

/** What is known of a line in a header: it is there, it is not, or more of the message is needed. */
export type LineSearch = 'found' | 'absent' | 'open';

/**
 * Looks for a line in a message's header, which ends at the first empty line. The line must be there byte for byte, LF
 * included. The message comes in pieces of any size, of which nothing is kept.
 */
export class HeaderLineFinder {
  readonly #line: Uint8Array;
  /** Bytes of the present line that were seen. */
  #length = 0;
  /** How many of them, from the first one, are those of the line. */
  #matching = 0;

  /** @param line with its LF, not empty */
  constructor(line: Uint8Array) {
    this.#line = line;
  }

  /** What is known after the next piece; what comes after `found` or `absent` does not matter. */
  receive(piece: Uint8Array): LineSearch {
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!;
      if (this.#matching === this.#length && byte === this.#line[this.#length]) this.#matching++;
      this.#length++;
      if (byte !== LF) continue;
      if (this.#length === 1) return 'absent';
      if (this.#matching === this.#length && this.#length === this.#line.length) return 'found';
      this.#length = 0;
      this.#matching = 0;
    }
    return 'open';
  }
}
