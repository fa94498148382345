// Byte strings of the client vectors, and the placeholders in them.
// A JSON string stands for its ASCII bytes; {"b64"} is base64; {"parts"} repeats strings; {"sha256","length"} names big
// output by its digest.

import { createHash } from 'node:crypto';

/** A byte string as the vector files write it. */
export type VectorBytes =
  | string
  | { readonly b64: string }
  | { readonly parts: readonly (readonly [string, number])[] }
  | { readonly sha256: string; readonly length: number };

/** Placeholder name without braces to its text: `HOME` to a folder. */
export interface Placeholders {
  readonly [name: string]: string;
}

/** The bytes that a vector means. Placeholders not in the table stay as they are. */
export function expandBytes(value: VectorBytes, placeholders: Placeholders): Buffer {
  return Buffer.from(expandText(plainText(value), placeholders), 'latin1');
}

function plainText(value: VectorBytes): string {
  if (typeof value === 'string') return value;
  if ('b64' in value) return Buffer.from(value.b64, 'base64').toString('latin1');
  if ('parts' in value) return value.parts.map(([text, count]) => text.repeat(count)).join('');
  throw new Error('Vector bytes: a digest cannot be expanded');
}

function expandText(text: string, placeholders: Placeholders): string {
  return text.replace(/\{\{([A-Z]+)\}\}/g, (whole, name: string) => placeholders[name] ?? whole);
}

/** Whether the bytes are what a vector expects. */
export function matchesBytes(actual: Uint8Array, expected: VectorBytes, placeholders: Placeholders): boolean {
  if (typeof expected === 'object' && 'sha256' in expected) {
    const digest = createHash('sha256').update(actual).digest('hex');
    return actual.length === expected.length && digest === expected.sha256;
  }
  return expandBytes(expected, placeholders).equals(actual);
}

/** Placeholders for one moment: DATE, STAMP and UNIX. */
export function timePlaceholders(unixSeconds: number): Placeholders {
  const date = new Date(unixSeconds * 1000);
  return {
    DATE: date
      .toUTCString()
      .replace(/^\w+, 0?/, '')
      .replace('GMT', '-0000'),
    STAMP: date
      .toISOString()
      .substring(0, 19)
      .replace(/[^0-9]/g, ''),
    UNIX: String(unixSeconds),
  };
}
