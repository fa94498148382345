// Splits a message into header fields and body as it comes in, chunk by chunk, and recognises fields by name. Lines end
// at LF only; CR, NUL and 8-bit bytes are ordinary. Nothing of the input is lost: what is not a field begins the body.
// Source: the qmail-header manual page; RFC 822 section 3.1.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, findByte, lowerByte, startsWith } from '../bytes/bytes.ts';

const TAB = 9;
const LF = 10;
const SPACE = 32;
const COLON = 58;
const FROM_LINE = bytesOf('From ');
const MBOX_NAME = bytesOf('MBOX-Line: ');

/** Takes the bytes of a message and gives its header fields, each complete with continuation lines and final LF. */
export class HeaderSplitter {
  readonly #onField: (field: Uint8Array) => void;
  /** The line that began in an earlier chunk. */
  readonly #line = new ByteBuffer(128);
  /** The field that may still be continued; empty before the first one. */
  readonly #field = new ByteBuffer(256);
  #bodyStart: Uint8Array | undefined;

  /** @param onField called for each field in order; its argument is valid during the call only */
  constructor(onField: (field: Uint8Array) => void) {
    this.#onField = onField;
  }

  /**
   * What to put before the rest of the body once the header has ended: the empty line, and the line after it if that
   * was taken for a possible field. Undefined as long as the header goes on; empty if the message ended with it.
   */
  get bodyStart(): Uint8Array | undefined {
    return this.#bodyStart;
  }

  /** Takes a chunk; returns how many of its bytes belong to the header or to {@link bodyStart}. */
  receive(chunk: Uint8Array): number {
    let from = 0;
    while (from < chunk.length && this.#bodyStart === undefined) {
      const lf = findByte(chunk, LF, from);
      const end = lf < 0 ? chunk.length : lf + 1;
      const part = chunk.subarray(from, end);
      from = end;
      if (lf < 0) {
        this.#line.append(part);
      } else if (this.#line.length > 0) {
        this.#line.append(part);
        this.#onLine(this.#line.view());
        this.#line.clear();
      } else {
        this.#onLine(part);
      }
    }
    return from;
  }

  /** Takes the end of the message; a last line without LF is given one. */
  receiveEnd(): void {
    if (this.#bodyStart !== undefined) return;
    if (this.#line.length > 0) {
      this.#line.appendByte(LF);
      this.#onLine(this.#line.view());
    }
    if (this.#bodyStart === undefined) this.#end('');
  }

  #onLine(line: Uint8Array): void {
    const first = line[0];
    if (this.#field.length > 0 && (first === SPACE || first === TAB)) {
      this.#field.append(line);
    } else if (first === LF) {
      this.#end('\n');
    } else if (startsWith(line, FROM_LINE)) {
      this.#flush();
      this.#field.append(MBOX_NAME);
      this.#field.append(line);
    } else if (isFieldLine(line)) {
      this.#flush();
      this.#field.append(line);
    } else {
      this.#end('\n', line);
    }
  }

  #end(separator: string, line?: Uint8Array): void {
    this.#flush();
    const start = new ByteBuffer(1 + (line?.length ?? 0));
    start.appendText(separator);
    if (line !== undefined) start.append(line);
    this.#bodyStart = start.toBytes();
  }

  #flush(): void {
    if (this.#field.length === 0) return;
    this.#onField(this.#field.view());
    this.#field.clear();
  }
}

/** Whether a line begins a field: a name of bytes 33 to 126, then blanks at will, then a colon. */
function isFieldLine(line: Uint8Array): boolean {
  const length = nameLength(line);
  for (let i = 0; i < length; i++) if (line[i]! < 33 || line[i]! > 126) return false;
  return length > 0;
}

/** Length of what stands before the first colon and the blanks before that; 0 without a colon. */
function nameLength(field: Uint8Array): number {
  let end = findByte(field, COLON);
  while (end > 0 && (field[end - 1] === SPACE || field[end - 1] === TAB)) end--;
  return Math.max(end, 0);
}

// The fields that need attention, by their names in lower case.
const KNOWN_NAMES = [
  'sender',
  'from',
  'reply-to',
  'to',
  'cc',
  'bcc',
  'date',
  'message-id',
  'resent-sender',
  'resent-from',
  'resent-reply-to',
  'resent-to',
  'resent-cc',
  'resent-bcc',
  'resent-date',
  'resent-message-id',
  'return-receipt-to',
  'errors-to',
  'apparently-to',
  'return-path',
  'content-length',
  'mail-followup-to',
] as const;

/** A field that a program which injects mail must look at or count. */
export type FieldName = (typeof KNOWN_NAMES)[number];

const NAMES = namesTable();
const NAME_LENGTH_MAX = 17;

function namesTable(): { readonly [name: string]: FieldName | undefined } {
  const table: { [name: string]: FieldName | undefined } = Object.create(null);
  for (const name of KNOWN_NAMES) table[name] = name;
  return table;
}

/** Which known field this is, the case of letters ignored; undefined for a field that needs no attention. */
export function fieldName(field: Uint8Array): FieldName | undefined {
  const length = nameLength(field);
  if (length > NAME_LENGTH_MAX) return undefined;
  let name = '';
  for (let i = 0; i < length; i++) name += String.fromCharCode(lowerByte(field[i]!));
  return NAMES[name];
}

/** Whether the field has that name, given in lower case; the case of letters is ignored. */
export function isFieldNamed(field: Uint8Array, name: string): boolean {
  if (nameLength(field) !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (lowerByte(field[i]!) !== name.charCodeAt(i)) return false;
  return true;
}
