// The log of servers: one line per event, written at once, on standard error. Bytes outside printable ASCII in a value
// are escaped, so that no address can split a line or speak to the terminal.

import { textOf } from '../core/bytes/bytes.ts';

/** What is told of an event, by name; bytes are as they came from outside. */
export type Facts = Readonly<Record<string, string | number | Uint8Array | undefined>>;

/** Severity and words of an event, with its facts; `event` is a stable name (`accepted`, `delivery.deferred`). */
export interface Log {
  write(event: string, facts: Facts): void;
}

/** Events that tell readers of lines nothing: another one says more. */
const QUIET = ['delivery.limits', 'delivery.start', 'message.end'];

/** Log lines `event key=value …` to a function that takes one line with its LF. */
export function createLineLog(writeLine: (line: string) => void): Log {
  return {
    write(event, facts) {
      if (QUIET.includes(event)) return;
      let line = event;
      // By keys, and by whole values below: each message that comes and goes has its lines.
      for (const key of Object.keys(facts)) {
        const value = facts[key];
        if (value !== undefined) line += ` ${key}=${formatValue(value)}`;
      }
      writeLine(`${line}\n`);
    },
  };
}

/**
 * Every event as a line with a JSON object: `time` (ISO 8601 in UTC), `event`, and its facts. Bytes are shown as UTF-8, and what is
 * not becomes U+FFFD.
 */
export function createJsonLog(writeLine: (line: string) => void, nowMs: () => number): Log {
  return {
    write(event, facts) {
      const shown: Record<string, string | number> = { time: new Date(nowMs()).toISOString(), event };
      for (const key of Object.keys(facts)) {
        const value = facts[key];
        if (value !== undefined)
          shown[key] = typeof value === 'object' ? Buffer.from(value).toString() : value;
      }
      writeLine(`${JSON.stringify(shown)}\n`);
    },
  };
}

const QUOTE = 34;
const BACKSLASH = 92;

function formatValue(value: string | number | Uint8Array): string {
  if (typeof value === 'number') return String(value);
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes.length > 0 && isPlain(bytes)) return typeof value === 'string' ? value : textOf(value);
  let text = '';
  for (const byte of bytes) text += escapeByte(byte);
  return `"${text}"`;
}

function isPlain(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte <= 32 || byte > 126 || byte === QUOTE || byte === BACKSLASH || byte === 61) return false;
  }
  return true;
}

function escapeByte(byte: number): string {
  if (byte === QUOTE || byte === BACKSLASH) return `\\${String.fromCharCode(byte)}`;
  if (byte === 10) return '\\n';
  if (byte < 32 || byte > 126) return `\\x${byte.toString(16).padStart(2, '0')}`;
  return String.fromCharCode(byte);
}
