// What the hub asks hub-lspawn, and what that answers, on one connection for one delivery. The request is
//   LENGTH NUL ADDRESS NUL SENDER NUL MESSAGE
// and ends with the stream; the answer is K, Z or D, a text, and a NUL. Invariant: what was cut off is never taken for whole.

import { bytesOf, concatBytes, findByte, textOf, untilNul } from '../bytes/bytes.ts';
import type { Outcome, OutcomeLetter } from '../policy/outcome.ts';
import { parseDecimal } from './passwd.ts';

const NUL = bytesOf('\0');

/** Bytes that the head of a request may have; longer words cannot be handed to a program anyway. */
export const REQUEST_HEAD_MAX = 100_000;

/** Which delivery is wanted. The addresses hold no NUL. */
export interface LocalRequest {
  /** The recipient, in the form that it has in the queue. */
  readonly address: Uint8Array;
  readonly sender: Uint8Array;
  /** Bytes of the message. */
  readonly length: number;
}

/** The head of a request, which the message follows. */
export function formatRequestHead({ address, sender, length }: LocalRequest): Uint8Array {
  return concatBytes([bytesOf(`${length}`), NUL, address, NUL, sender, NUL]);
}

/** The request that the bytes begin with, and how long its head is; undefined if its end is not there yet. */
export function parseRequestHead(
  bytes: Uint8Array,
): { request: LocalRequest; headLength: number } | undefined {
  const first = findByte(bytes, 0);
  const second = first < 0 ? -1 : findByte(bytes, 0, first + 1);
  const third = second < 0 ? -1 : findByte(bytes, 0, second + 1);
  if (third < 0) return undefined;
  const request = {
    length: parseDecimal(bytes.subarray(0, first)),
    address: bytes.subarray(first + 1, second),
    sender: bytes.subarray(second + 1, third),
  };
  return { request, headLength: third + 1 };
}

/** The answer; the text is cut at its first NUL. */
export function formatAnswer({ letter, text }: Outcome): Uint8Array {
  return concatBytes([untilNul(bytesOf(letter + text)), NUL]);
}

/** The outcome that an answer tells, or undefined if it is not whole. */
export function parseAnswer(bytes: Uint8Array): Outcome | undefined {
  const letter = textOf(bytes.subarray(0, 1));
  if (findByte(bytes, 0) !== bytes.length - 1 || letter === '' || 'KZD'.indexOf(letter) < 0) return undefined;
  return { letter: letter as OutcomeLetter, text: textOf(bytes.subarray(1, bytes.length - 1)) };
}
