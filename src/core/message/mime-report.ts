// A report as a message of three parts: for people, for programs, and what it is about. Invariant: no byte of a part can end
// it or begin another one; the separator is made of a token that nobody could know when the parts were written.
// Source: RFC 6522 (multipart/report), RFC 2046 section 5.1, RFC 6533 section 6, RFC 3834 section 5 (Auto-Submitted).

import { bytesOf, concatBytes } from '../bytes/bytes.ts';
import { hasHighByte, isUtf8 } from '../bytes/utf8.ts';

/** The parts, with LF line ends. */
export interface ReportParts {
  /** The fields that come first, each with its LF. */
  readonly header: Uint8Array;
  readonly messageId: Uint8Array;
  /** For people. */
  readonly text: Uint8Array;
  /** For programs, see formatDsnFields(). */
  readonly fields: Uint8Array;
  /** Whether the fields may hold UTF-8. */
  readonly isGlobal: boolean;
  /** What it is about: in one part, so that a large message is not copied. */
  readonly original: readonly Uint8Array[];
  readonly isWhole: boolean;
  /** Twelve or more characters by chance, letters and digits. */
  readonly token: string;
}

/** The report in pieces, to be written one after the other; those of `original` are among them as they are. */
export function formatReport(parts: ReportParts): readonly Uint8Array[] {
  const { text, fields, original, isGlobal, isWhole, token } = parts;
  const boundary = `=_report-${token}`;
  const kind = isGlobal ? 'global-delivery-status' : 'delivery-status';
  const copied = isWhole
    ? `message/${isGlobal ? 'global' : 'rfc822'}`
    : isGlobal
      ? 'message/global-headers'
      : 'text/rfc822-headers';
  const isWide = anyHigh([text, fields]) || anyHigh(original);
  const head = concatBytes([
    parts.header,
    formatSelfFields(parts.messageId),
    bytesOf(`Content-Type: multipart/report; report-type=${kind};\n\tboundary="${boundary}"\n`),
    bytesOf(`Content-Transfer-Encoding: ${isWide ? '8bit' : '7bit'}\n\n--${boundary}\n`),
    formatTextFields(text),
    bytesOf('\n'),
    text,
    bytesOf(`\n--${boundary}\nContent-Type: message/${kind}\n`),
    encodingOf([fields]),
    fields,
    bytesOf(`\n--${boundary}\nContent-Type: ${copied}\n`),
    encodingOf(original),
  ]);
  return [head].concat(original, bytesOf(`\n--${boundary}--\n`));
}

/** The fields by which a message says that a program has written it, and that it is of the newer kind. */
export function formatSelfFields(messageId: Uint8Array): Uint8Array {
  return concatBytes([
    bytesOf('Message-ID: <'),
    messageId,
    bytesOf('>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n'),
  ]);
}

/** The fields of a message, or part, that is a text. */
export function formatTextFields(text: Uint8Array): Uint8Array {
  const encoding = hasHighByte(text) ? '8bit' : '7bit';
  return bytesOf(
    `Content-Type: text/plain; charset=${charsetOf(text)}\nContent-Transfer-Encoding: ${encoding}\n`,
  );
}

/** What a text is written in, as far as one can tell. */
function charsetOf(text: Uint8Array): string {
  if (!hasHighByte(text)) return 'us-ascii';
  return isUtf8(text) ? 'utf-8' : 'unknown-8bit';
}

/** A part's encoding, and the blank line behind its fields. */
function encodingOf(pieces: readonly Uint8Array[]): Uint8Array {
  return bytesOf(`Content-Transfer-Encoding: ${anyHigh(pieces) ? '8bit' : '7bit'}\n\n`);
}

function anyHigh(pieces: readonly Uint8Array[]): boolean {
  for (let i = 0; i < pieces.length; i++) if (hasHighByte(pieces[i]!)) return true;
  return false;
}

const LF = 10;
const CR = 13;
const HEADER_BYTES_MAX = 65_536;

/** A message's header, without the line that ends it; a view of whole lines, at most 64 KiB of them. */
export function headerOf(message: Uint8Array): Uint8Array {
  let lineAt = 0;
  for (let at = 0; at < message.length && at < HEADER_BYTES_MAX; at++) {
    if (message[at] !== LF) continue;
    if (at === lineAt || (at === lineAt + 1 && message[lineAt] === CR)) return message.subarray(0, lineAt);
    lineAt = at + 1;
  }
  return message.subarray(0, message.length < HEADER_BYTES_MAX ? message.length : lineAt);
}
