// How a delivery ends that is not done: with a text for the sender or the log, and the exit code that says whether to try again.

import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';

const EXIT_PERMANENT = 100;
const EXIT_TEMPORARY = 111;

/** Ends the delivery; caught once, where the program ends. */
export class DeliveryFailure extends Error {
  readonly exit: number;
  /** One line without its LF; empty if somebody else has said all there is to say. */
  readonly text: Uint8Array;

  constructor(exit: number, parts: readonly (string | Uint8Array)[]) {
    super('Cannot deliver');
    this.exit = exit;
    this.text = concatBytes(parts.map((part) => (typeof part === 'string' ? bytesOf(part) : part)));
  }
}

/** A failure that may be gone the next time. Strings stand for their bytes, one per character. */
export function deferral(...parts: readonly (string | Uint8Array)[]): DeliveryFailure {
  return new DeliveryFailure(EXIT_TEMPORARY, parts);
}

/** A failure that is there to stay. */
export function rejection(...parts: readonly (string | Uint8Array)[]): DeliveryFailure {
  return new DeliveryFailure(EXIT_PERMANENT, parts);
}
