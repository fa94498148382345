// The parameters of MAIL and RCPT by which a sender asks to be told what becomes of a message. They are kept as they came,
// so that the next host and the sender's reports get the same bytes. Source: RFC 3461 sections 4 and 5, RFC 6533 section 3.

import { type MessageDsn, NOTIFY, type RecipientDsn } from '../../policy/notification.ts';

/** Characters of an envelope identifier, and of an original recipient (RFC 3461 sections 4.4 and 4.2). */
const ENVID_LENGTH_MAX = 100;
const ORCPT_LENGTH_MAX = 500;
const ATOM_MARKS = "!#$%&'*+-/=?^_`{|}~";

/**
 * Takes a parameter of MAIL into `dsn`.
 * @param key in capitals
 * @returns whether it is understood and new; undefined if it is not one of RET and ENVID
 */
export function readMessageDsn(
  key: string,
  value: string | undefined,
  dsn: { -readonly [name in keyof MessageDsn]: MessageDsn[name] },
): boolean | undefined {
  if (key === 'RET') {
    const word = (value ?? '').toUpperCase();
    if (dsn.ret !== undefined || (word !== 'FULL' && word !== 'HDRS')) return false;
    dsn.ret = word === 'FULL' ? 'full' : 'hdrs';
    return true;
  }
  if (key !== 'ENVID') return undefined;
  if (dsn.envid !== undefined || !isXtext(value, ENVID_LENGTH_MAX, false)) return false;
  dsn.envid = value;
  return true;
}

/**
 * The same for RCPT: NOTIFY and ORCPT.
 * @param isUtf8Message whether an original recipient may be in UTF-8
 */
export function readRecipientDsn(
  key: string,
  value: string | undefined,
  dsn: { -readonly [name in keyof RecipientDsn]: RecipientDsn[name] },
  isUtf8Message: boolean,
): boolean | undefined {
  if (key === 'NOTIFY') {
    const flags = parseNotify(value);
    if (dsn.notify !== undefined || flags === undefined) return false;
    dsn.notify = flags;
    return true;
  }
  if (key !== 'ORCPT') return undefined;
  if (dsn.orcpt !== undefined || !isOriginalRecipient(value, isUtf8Message)) return false;
  dsn.orcpt = value;
  return true;
}

function parseNotify(value: string | undefined): number | undefined {
  const words = (value ?? '').toLowerCase().split(',');
  if (words.length === 1 && words[0] === 'never') return 0;
  let flags = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word !== 'success' && word !== 'failure' && word !== 'delay') return undefined;
    flags |= NOTIFY[word];
  }
  return flags;
}

/** Whether it is an address type, a semicolon, and an address. */
function isOriginalRecipient(value: string | undefined, isUtf8Message: boolean): value is string {
  if (value === undefined || value.length > ORCPT_LENGTH_MAX) return false;
  let end = 0;
  while (end < value.length && isAtomCharacter(value.charAt(end))) end++;
  if (end === 0 || value.charAt(end) !== ';') return false;
  return isXtext(value.substring(end + 1), ORCPT_LENGTH_MAX, isUtf8Message);
}

function isAtomCharacter(character: string): boolean {
  if (character >= '0' && character <= '9') return true;
  const lower = character.toLowerCase();
  return (lower >= 'a' && lower <= 'z') || ATOM_MARKS.indexOf(character) >= 0;
}

/** Printable characters, a plus sign only before two digits in base 16 and capitals; at least one character. */
function isXtext(value: string | undefined, lengthMax: number, allowsHigh: boolean): value is string {
  if (value === undefined || value.length === 0 || value.length > lengthMax) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    const isPrintable = (code > 32 && code < 127) || (allowsHigh && code > 127);
    const character = value.charAt(i);
    if (!isPrintable || character === '=') return false;
    if (character !== '+') continue;
    if (!isBase16(value.charAt(i + 1)) || !isBase16(value.charAt(i + 2))) return false;
    i += 2;
  }
  return true;
}

function isBase16(character: string): boolean {
  return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'F');
}

/** The bytes that xtext stands for, one character each. */
export function decodeXtext(text: string): string {
  let decoded = '';
  for (let i = 0; i < text.length; i++) {
    const isCode = text.charAt(i) === '+' && isBase16(text.charAt(i + 1)) && isBase16(text.charAt(i + 2));
    decoded += isCode ? String.fromCharCode(parseInt(text.substring(i + 1, i + 3), 16)) : text.charAt(i);
    if (isCode) i += 2;
  }
  return decoded;
}

/**
 * The parameters of RCPT for the next host, each after a blank; empty for none. An original recipient that is not ASCII is
 * left out, as not every host takes it.
 */
export function formatRecipientDsn({ notify, orcpt = '' }: RecipientDsn): string {
  const words: string[] = [];
  if (notify !== undefined) {
    if ((notify & NOTIFY.success) !== 0) words.push('SUCCESS');
    if ((notify & NOTIFY.failure) !== 0) words.push('FAILURE');
    if ((notify & NOTIFY.delay) !== 0) words.push('DELAY');
    if (words.length === 0) words.push('NEVER');
  }
  const asked = words.length === 0 ? '' : ` NOTIFY=${words.join(',')}`;
  for (let i = 0; i < orcpt.length; i++) {
    const code = orcpt.charCodeAt(i);
    if (code <= 32 || code > 126) return asked;
  }
  return orcpt === '' ? asked : `${asked} ORCPT=${orcpt}`;
}
