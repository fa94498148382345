// Parameters of MAIL and RCPT, where any of them is looked at: without extensions all are ignored, as by qmail-smtpd.
// Source: RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 5321 section 4.1.1.11.

import { findByte, textOf } from '../../bytes/bytes.ts';
import { REPLIES, type SmtpReply } from './replies.ts';
import { isDecimal, type SmtpExtensions } from './server-extensions.ts';

const SPACE = 32;
const EQUALS = 61;
const SIZE_LENGTH_MAX = 20;

/** What a MAIL command says of its message, or why it is refused. */
export interface MailParameters {
  readonly isUtf8: boolean;
  readonly refusal?: SmtpReply;
}

/**
 * Reads what follows the address of MAIL.
 * @param sizeMax bytes of a message; 0 for no limit
 */
export function readMailParameters(
  rest: Uint8Array,
  extensions: SmtpExtensions,
  sizeMax: number,
): MailParameters {
  let isUtf8 = false;
  const words = parameterWords(rest, extensions);
  for (let i = 0; i < words.length; i++) {
    const { key, value } = words[i]!;
    if (key === 'SMTPUTF8' && extensions.smtputf8) {
      if (value !== undefined) return { isUtf8, refusal: REPLIES.badParameter };
      isUtf8 = true;
      continue;
    }
    const refusal = judge({ key, value }, extensions, sizeMax);
    if (refusal !== undefined) return { isUtf8, refusal };
  }
  return { isUtf8 };
}

/** Why a RCPT with this after its address is refused, if it is: no extension of ours has a parameter there. */
export function judgeRecipientParameters(
  rest: Uint8Array,
  extensions: SmtpExtensions,
): SmtpReply | undefined {
  return extensions.strict && parameterWords(rest, extensions).length > 0
    ? REPLIES.unknownParameter
    : undefined;
}

interface Parameter {
  /** In capitals. */
  readonly key: string;
  readonly value: string | undefined;
}

function parameterWords(rest: Uint8Array, extensions: SmtpExtensions): Parameter[] {
  const words: Parameter[] = [];
  if (!extensions.size && !extensions.smtputf8 && !extensions.strict) return words;
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
