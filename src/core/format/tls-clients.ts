// The lines of control/tlsclients: which certificates of clients the hub takes mail by, and which it does not any more.
// `fingerprint sha256:HEX NAME` is one certificate, known to the hub as NAME; `subject NAME` every one that the hub's authority
// has issued for that name, `*.DOMAIN` for one below a domain, `*` for any. A line with `-` before it revokes, and always wins.

import { textOf } from '../bytes/bytes.ts';

/** What one line says. */
export interface TlsClientRule {
  readonly revokes: boolean;
  readonly kind: 'fingerprint' | 'subject';
  /** 64 hexadecimal digits in small letters; or a name, `*.` and a domain, or `*`, in small letters. */
  readonly value: string;
  /** What the hub calls the holder; only with a fingerprint, and there it may be left out. */
  readonly identity?: string;
}

const NAME_LENGTH_MAX = 253;
const FINGERPRINT_DIGITS = 64;
const NAME_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789.-';
const ALGORITHM = 'sha256:';

/** Reads a line without its line end, in which capital letters do not count; the text says what is wrong with it. */
export function parseTlsClientRule(line: Uint8Array): TlsClientRule | string {
  const words = wordsOf(textOf(line));
  let kind: string = words[0] ?? '';
  const revokes = kind.charAt(0) === '-';
  if (revokes) kind = kind.slice(1);
  const value = words[1]?.toLowerCase();
  if (kind !== 'fingerprint' && kind !== 'subject')
    return `"${words[0] ?? ''}" is neither fingerprint nor subject, with or without - before it`;
  if (value === undefined) return `nothing behind ${kind}`;
  if (words.length > (kind === 'subject' ? 2 : 3)) return `too many words behind ${kind}`;
  if (kind === 'subject') return isPattern(value) ? { revokes, kind, value } : `"${value}" is not a name`;
  const digits = parseFingerprint(value);
  if (digits === undefined) return `"${value}" is not sha256: and 64 hexadecimal digits`;
  const identity = words[2]?.toLowerCase();
  if (identity === undefined) return { revokes, kind, value: digits };
  return isIdentityName(identity)
    ? { revokes, kind, value: digits, identity }
    : `"${identity}" is not a name`;
}

/** The digits of `sha256:HEX` in small letters; colons between them do not count. Undefined if it is something else. */
export function parseFingerprint(text: string): string | undefined {
  const lower: string = text.toLowerCase();
  if (lower.indexOf(ALGORITHM) !== 0) return undefined;
  let digits = '';
  for (let i = ALGORITHM.length; i < lower.length; i++) {
    const character = lower.charAt(i);
    if (character === ':') continue;
    if ('0123456789abcdef'.indexOf(character) < 0) return undefined;
    digits += character;
  }
  return digits.length === FINGERPRINT_DIGITS ? digits : undefined;
}

/** Whether a host can be called so in a certificate and in the log: what a name in DNS has, in small letters. */
export function isIdentityName(text: string): boolean {
  if (text.length < 1 || text.length > NAME_LENGTH_MAX) return false;
  for (let i = 0; i < text.length; i++) if (NAME_CHARACTERS.indexOf(text.charAt(i)) < 0) return false;
  for (const label of text.split('.')) {
    if (label === '' || label.charAt(0) === '-' || label.charAt(label.length - 1) === '-') return false;
  }
  return true;
}

/** Whether a name in small letters is one that a line means. @param pattern the value of a subject */
export function matchesSubject(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  if (pattern.charAt(0) !== '*') return pattern === name;
  const domain = pattern.slice(1);
  return name.length > domain.length && name.slice(name.length - domain.length) === domain;
}

function isPattern(text: string): boolean {
  if (text === '*') return true;
  return isIdentityName(text.slice(0, 2) === '*.' ? text.slice(2) : text);
}

function wordsOf(text: string): string[] {
  const words: string[] = [];
  let from = 0;
  for (let at = 0; at <= text.length; at++) {
    const character = text.charAt(at);
    if (character !== '' && character !== ' ' && character !== '\t') continue;
    if (at > from) words.push(text.slice(from, at));
    from = at + 1;
  }
  return words;
}
