// Parameters of MAIL and RCPT, where any of them is looked at: without extensions all are ignored, as by qmail-smtpd.
// Source: RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC 5321 section 4.1.1.11.

import { findByte, textOf } from '../../bytes/bytes.ts';
import type { MessageDsn, RecipientDsn } from '../../policy/notification.ts';
import { readMessageDsn, readRecipientDsn } from './dsn-parameters.ts';
import { REPLIES, type SmtpReply } from './replies.ts';
import { isDecimal, type SmtpExtensions } from './server-extensions.ts';

const SPACE = 32;
const EQUALS = 61;
const SIZE_LENGTH_MAX = 20;

/** What a server looks for. */
export interface ParameterSettings {
  /** Bytes of a message; 0 for no limit. */
  readonly sizeMax: number;
  readonly extensions: SmtpExtensions;
  /** Whether senders may ask to be told what becomes of their messages. */
  readonly offersDsn?: boolean | undefined;
}

/** What a MAIL command says of its message, or why it is refused. */
export interface MailParameters {
  readonly isUtf8: boolean;
  readonly dsn?: MessageDsn | undefined;
  readonly refusal?: SmtpReply;
}

/** What a RCPT command says of its recipient, or why it is refused. */
export interface RecipientParameters {
  readonly dsn?: RecipientDsn | undefined;
  readonly refusal?: SmtpReply;
}

/** Reads what follows the address of MAIL. */
export function readMailParameters(rest: Uint8Array, settings: ParameterSettings): MailParameters {
  const { extensions, sizeMax, offersDsn } = settings;
  let isUtf8 = false;
  let dsn: MessageDsn | undefined;
  const words = parameterWords(rest, settings);
  for (let i = 0; i < words.length; i++) {
    const { key, value } = words[i]!;
    if (key === 'SMTPUTF8' && extensions.smtputf8) {
      if (value !== undefined) return { isUtf8, refusal: REPLIES.badParameter };
      isUtf8 = true;
      continue;
    }
    const asked = dsn ?? {};
    const isDsn = offersDsn ? readMessageDsn(key, value, asked) : undefined;
    if (isDsn) dsn = asked;
    const other = isDsn === undefined ? judge({ key, value }, extensions, sizeMax) : undefined;
    const refusal = isDsn === false ? REPLIES.badParameter : other;
    if (refusal !== undefined) return { isUtf8, refusal };
  }
  return { isUtf8, dsn };
}

/** Reads what follows the address of RCPT. @param isUtf8Message whether MAIL said SMTPUTF8 */
export function readRecipientParameters(
  rest: Uint8Array,
  settings: ParameterSettings,
  isUtf8Message: boolean,
): RecipientParameters {
  const { extensions, offersDsn } = settings;
  let dsn: RecipientDsn | undefined;
  const words = parameterWords(rest, settings);
  for (let i = 0; i < words.length; i++) {
    const { key, value } = words[i]!;
    const asked = dsn ?? {};
    const isDsn = offersDsn ? readRecipientDsn(key, value, asked, isUtf8Message) : undefined;
    if (isDsn) dsn = asked;
    else if (isDsn === false) return { refusal: REPLIES.badParameter };
    else if (extensions.strict) return { refusal: REPLIES.unknownParameter };
  }
  return { dsn };
}

interface Parameter {
  /** In capitals. */
  readonly key: string;
  readonly value: string | undefined;
}

function parameterWords(rest: Uint8Array, { extensions, offersDsn }: ParameterSettings): Parameter[] {
  const words: Parameter[] = [];
  if (!offersDsn && !extensions.size && !extensions.smtputf8 && !extensions.strict) return words;
  let from = 0;
  while (from < rest.length) {
    const space = findByte(rest, SPACE, from);
    const end = space < 0 ? rest.length : space;
    if (end > from) words.push(parseParameter(rest.subarray(from, end)));
    from = end + 1;
  }
  return words;
}

function parseParameter(word: Uint8Array): Parameter {
  const equals = findByte(word, EQUALS);
  const end = equals < 0 ? word.length : equals;
  const key = textOf(word.subarray(0, end)).toUpperCase();
  return { key, value: equals < 0 ? undefined : textOf(word.subarray(end + 1)) };
}

function judgeSize(value: string | undefined, sizeMax: number): SmtpReply | undefined {
  if (value === undefined || value.length > SIZE_LENGTH_MAX || !isDecimal(value)) return REPLIES.badParameter;
  return sizeMax > 0 && Number(value) > sizeMax ? REPLIES.tooLarge : undefined;
}

function judge({ key, value }: Parameter, extensions: SmtpExtensions, sizeMax: number) {
  if (key === 'SIZE' && extensions.size) return judgeSize(value, sizeMax);
  return extensions.strict ? judgeOther(key, value) : undefined;
}

function judgeOther(key: string, value: string | undefined): SmtpReply | undefined {
  if (key !== 'BODY') return REPLIES.unknownParameter;
  const body = value?.toUpperCase();
  return body === '7BIT' || body === '8BITMIME' ? undefined : REPLIES.badParameter;
}
