// DER, the form that certificates and requests have: a tag, a length, a content. Written in the one way that the rules allow;
// read strictly, since a signature covers the bytes: what has another form is no element. Lengths are checked against what
// is there. Source: ITU-T X.690 sections 8 and 10.

import { concatBytes } from '../bytes/bytes.ts';

/** Tags that certificates use. */
export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8: 0x0c,
  printable: 0x13,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** An element as it was read; both arrays are views of the input. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** All of it, tag and length included. */
  readonly bytes: Uint8Array;
}

const LENGTH_BYTES_MAX = 3;

/** An element with these contents, one behind the other. */
export function encodeDer(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  const head = [tag];
  if (length < 0x80) head.push(length);
  else {
    const digits: number[] = [];
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
    head.push(0x80 + digits.length);
    for (const digit of digits) head.push(digit);
  }
  return concatBytes([bytesFrom(head), ...contents]);
}

/** An element whose tag is the number of a choice or of an optional part: `[number]`, with elements in it. */
export function encodeDerTagged(number: number, ...contents: readonly Uint8Array[]): Uint8Array {
  return encodeDer(0xa0 + number, ...contents);
}

/** A whole number that is not negative, given as bytes, the highest first. */
export function encodeDerInteger(magnitude: Uint8Array): Uint8Array {
  let from = 0;
  while (from < magnitude.length - 1 && magnitude[from] === 0) from++;
  const digits = magnitude.subarray(from);
  const isPlain = digits.length > 0 && digits[0]! < 0x80;
  return encodeDer(DER_TAG.integer, isPlain ? digits : concatBytes([bytesFrom([0]), digits]));
}

/** A string of whole bytes as bits. */
export function encodeDerBits(bytes: Uint8Array): Uint8Array {
  return encodeDer(DER_TAG.bitString, bytesFrom([0]), bytes);
}

/** An object identifier, given as numbers with dots between them. */
export function encodeDerOid(text: string): Uint8Array {
  const numbers = text.split('.').map(Number);
  const bytes: number[] = [];
  const all = [numbers[0]! * 40 + numbers[1]!].concat(numbers.slice(2));
  for (const number of all) {
    const digits = [number % 128];
    for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128))
      digits.unshift((rest % 128) + 128);
    for (const digit of digits) bytes.push(digit);
  }
  return encodeDer(DER_TAG.objectId, bytesFrom(bytes));
}

/** Reads the element that begins there; undefined if there is none in DER. */
export function readDer(bytes: Uint8Array, from = 0): DerElement | undefined {
  const tag = bytes[from];
  const first = bytes[from + 1];
  // Numbers above 30 have tags of several bytes: nothing here has.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  let at = from + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first - 0x80;
    if (count < 1 || count > LENGTH_BYTES_MAX || at + count > bytes.length) return undefined;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + bytes[at + i]!;
    // The shortest form is the only one.
    if (length < 0x80 || (count > 1 && bytes[at] === 0)) return undefined;
    at += count;
  }
  if (at + length > bytes.length) return undefined;
  return { tag, content: bytes.subarray(at, at + length), bytes: bytes.subarray(from, at + length) };
}

/** Reads all elements of a content; undefined if something else is there. */
export function readDerAll(content: Uint8Array): DerElement[] | undefined {
  const elements: DerElement[] = [];
  for (let at = 0; at < content.length; ) {
    const element = readDer(content, at);
    if (element === undefined) return undefined;
    elements.push(element);
    at += element.bytes.length;
  }
  return elements;
}

function bytesFrom(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(numbers);
}
