// The log of servers: one line per event, written at once, on standard error. Bytes outside printable ASCII in a value
// are escaped, so that no address can split a line or speak to the terminal.

/** Severity and words of an event, with its facts; `event` is a stable name (`accepted`, `delivery.deferred`). */
export interface Log {
  write(event: string, facts: Readonly<Record<string, string | number | Uint8Array | undefined>>): void;
}

/** Log lines `event key=value …` to a function that takes one line with its LF. */
export function createLineLog(writeLine: (line: string) => void): Log {
  return {
    write(event, facts) {
      let line = event;
      for (const [key, value] of Object.entries(facts))
        if (value !== undefined) line += ` ${key}=${formatValue(value)}`;
      writeLine(`${line}\n`);
    },
  };
}

const QUOTE = 34;
const BACKSLASH = 92;

function formatValue(value: string | number | Uint8Array): string {
  if (typeof value === 'number') return String(value);
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  let plain = bytes.length > 0;
  let text = '';
  for (const byte of bytes) {
    if (byte <= 32 || byte > 126 || byte === QUOTE || byte === BACKSLASH || byte === 61) plain = false;
    text += escapeByte(byte);
  }
  return plain ? text : `"${text}"`;
}

function escapeByte(byte: number): string {
  if (byte === QUOTE || byte === BACKSLASH) return `\\${String.fromCharCode(byte)}`;
  if (byte === 10) return '\\n';
  if (byte < 32 || byte > 126) return `\\x${byte.toString(16).padStart(2, '0')}`;
  return String.fromCharCode(byte);
}
