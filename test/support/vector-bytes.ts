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
  const now = Number(placeholders['LOCALUNIX']);
  const local = text.replace(/\{\{LOCALDATE\}\} ([+-])(\d\d)(\d\d)/g, (_, sign, hours, minutes) => {
    const offset = (Number(hours) * 60 + Number(minutes)) * 60 * (sign === '-' ? -1 : 1);
    return timePlaceholders(now + offset)['DATE']!.replace('-0000', `${sign}${hours}${minutes}`);
  });
  return local.replace(/\{\{([A-Z]+)\}\}/g, (whole, name: string) => placeholders[name] ?? whole);
}

/** Whether the bytes are what a vector expects. */
export function matchesBytes(actual: Uint8Array, expected: VectorBytes, placeholders: Placeholders): boolean {
  if (typeof expected === 'object' && 'sha256' in expected) {
    const digest = createHash('sha256').update(actual).digest('hex');
    return actual.length === expected.length && digest === expected.sha256;
  }
  const whole = expandBytes(expected, placeholders);
  return whole.equals(actual) || matchesPattern(actual, whole);
}

/** What stands for something that no test can know beforehand: process ids of children, ids of users and groups. */
const UNKNOWN: { readonly [placeholder: string]: string } = {
  CHILDPID: '[0-9]+',
  UIDS: '(?:[0-9]+, ){7}[0-9]+',
  GIDS: '[0-9]+, [0-9]+',
};

function matchesPattern(actual: Uint8Array, expected: Buffer): boolean {
  const text = expected.toString('latin1');
  if (!text.includes('{{')) return false;
  const pattern = text
    .split(/\{\{([A-Z]+)\}\}/)
    .map((part, i) => (i % 2 === 1 ? (UNKNOWN[part] ?? '(?!)') : part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')))
    .join('');
  return new RegExp(`^${pattern}$`).test(Buffer.from(actual).toString('latin1'));
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
