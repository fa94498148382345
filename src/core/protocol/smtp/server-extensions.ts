// What a server may do beyond the original qmail-smtpd, all of it off by default: the words of control/smtpextensions.
// Source: the qmail-smtpd manual page of this package.

import { findByte, textOf } from '../../bytes/bytes.ts';
import { COMMAND_LENGTH_MAX } from './command-reader.ts';
import type { BareCrTreatment } from './data-decoder.ts';

/** Extensions and limits that were asked for. */
export interface SmtpExtensions {
  /** Announce SIZE, and refuse a message by what MAIL says of it. */
  readonly size: boolean;
  /** Announce SMTPUTF8, and ask for it where an address is not ASCII. */
  readonly smtputf8: boolean;
  /** Refuse what a client that keeps to RFC 5321 does not send. */
  readonly strict: boolean;
  /** Speak as notqmail 1.09 where that differs from netqmail 1.06. */
  readonly notqmail: boolean;
  readonly bareCr: BareCrTreatment;
  /** Recipients of one message; more are refused for now. */
  readonly recipientCountMax: number;
  /** Refusals for good in one session before it is ended; 0 for any number. */
  readonly errorCountMax: number;
  /** Bytes of one command line that are kept. */
  readonly commandLengthMax: number;
  /** Seconds that a session may last in all; 0 for any time. */
  readonly sessionSecondsMax: number;
}

/** Only what keeps one session from using up memory. */
export const DEFAULT_EXTENSIONS: SmtpExtensions = {
  size: false,
  smtputf8: false,
  strict: false,
  notqmail: false,
  bareCr: 'keep',
  recipientCountMax: 100_000,
  errorCountMax: 0,
  commandLengthMax: COMMAND_LENGTH_MAX,
  sessionSecondsMax: 0,
};

const EQUALS = 61;
const NUMBER_LENGTH_MAX = 9;

type Changes = { -readonly [name in keyof SmtpExtensions]?: SmtpExtensions[name] };

/**
 * Reads items such as `size`, `barecr=space` and `recipients=1000`; the last of several counts.
 * @returns the extensions, or the item that means nothing
 */
export function parseSmtpExtensions(
  items: readonly Uint8Array[],
): { readonly extensions: SmtpExtensions } | { readonly unknown: string } {
  const changes: Changes = {};
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    if (!applyItem(item, changes)) return { unknown: textOf(item) };
  }
  const bareCr = changes.bareCr ?? (changes.strict ? 'reject' : 'keep');
  return { extensions: { ...DEFAULT_EXTENSIONS, ...changes, bareCr } };
}

function applyItem(item: Uint8Array, changes: Changes): boolean {
  const equals = findByte(item, EQUALS);
  if (equals < 0) return applyWord(textOf(item), changes);
  const value = textOf(item.subarray(equals + 1));
  const word = textOf(item.subarray(0, equals));
  return word === 'barecr' ? applyBareCr(value, changes) : applyNumber(word, value, changes);
}

function applyWord(word: string, changes: Changes): boolean {
  switch (word) {
    case 'size':
    case 'smtputf8':
    case 'strict':
    case 'notqmail':
      changes[word] = true;
      return true;
    default:
      return false;
  }
}

function applyBareCr(value: string, changes: Changes): boolean {
  if (value !== 'keep' && value !== 'reject' && value !== 'space') return false;
  changes.bareCr = value;
  return true;
}

function applyNumber(word: string, value: string, changes: Changes): boolean {
  if (value.length > NUMBER_LENGTH_MAX || !isDecimal(value)) return false;
  const number = Number(value);
  switch (word) {
    case 'recipients':
      changes.recipientCountMax = number;
      return number > 0;
    case 'errors':
      changes.errorCountMax = number;
      return true;
    case 'session':
      changes.sessionSecondsMax = number;
      return true;
    default:
      return false;
  }
}

/** Whether the text is one or more decimal digits. */
export function isDecimal(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (character < '0' || character > '9') return false;
  }
  return text.length > 0;
}
