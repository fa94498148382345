// What a domain says of the TLS of its mail exchangers (MTA-STS): the record that tells that there is a policy, the
// policy's text, and whether a host is one of those that it names. Hostile input: linear time, bounded results.
// Source: RFC 8461 sections 3.1, 3.2 and 4.1.

import { bytesOf, findByte, textOf } from '../bytes/bytes.ts';

/** A domain's policy. */
export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Names of hosts in lower case; `*.` stands for exactly one label. At least one unless the mode is none. */
  readonly mx: readonly string[];
  /** How long it holds, seconds, up to 31557600. */
  readonly maxAgeSeconds: number;
}

const MAX_AGE_SECONDS = 31_557_600;
const MX_COUNT_MAX = 500;
const ID_LENGTH_MAX = 32;
const LF = 10;
const VERSION = 'STSv1';

/** The id in the TXT records of `_mta-sts.DOMAIN`; undefined unless exactly one of them is about MTA-STS and has one. */
export function parseStsRecord(records: readonly Uint8Array[]): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < records.length; i++) {
    const text = textOf(records[i]!);
    if (!isStsRecord(text)) continue;
    if (found !== undefined) return undefined;
    found = text;
  }
  if (found === undefined) return undefined;
  const fields = found.split(';');
  for (let i = 1; i < fields.length; i++) {
    const [name, value] = splitAt(fields[i]!, '=');
    if (name === 'id') return isId(value) ? value : undefined;
  }
  return undefined;
}

/** Whether a TXT record begins with `v=STSv1` and a semicolon, spaces between them allowed. */
function isStsRecord(text: string): boolean {
  const head = `v=${VERSION}`;
  if (text.substring(0, head.length) !== head) return false;
  const rest = trimBlanks(text.substring(head.length));
  return rest === '' || rest.charAt(0) === ';';
}

function isId(value: string): boolean {
  if (value.length === 0 || value.length > ID_LENGTH_MAX) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i) | 32;
    const digit = value.charCodeAt(i) - 48;
    if (!(code >= 97 && code <= 122) && !(digit >= 0 && digit <= 9)) return false;
  }
  return true;
}

/** The policy in the text of a policy file, or undefined if that is not a valid one. Of a key that stands twice the first counts. */
export function parseStsPolicy(body: Uint8Array): StsPolicy | undefined {
  const values: { [key: string]: string } = {};
  const mx: string[] = [];
  for (let from = 0; from < body.length; ) {
    const lf = findByte(body, LF, from);
    const line = textOf(body.subarray(from, lf < 0 ? body.length : lf));
    from = lf < 0 ? body.length : lf + 1;
    const [key, value] = splitAt(line, ':');
    if (key === 'mx') {
      if (!isMxPattern(value) || mx.length >= MX_COUNT_MAX) return undefined;
      mx.push(value.toLowerCase());
    } else if (key === 'version' || key === 'mode' || key === 'max_age') values[key] = values[key] ?? value;
  }
  const { version, mode, max_age: maxAge = '' } = values;
  const maxAgeSeconds = parseSeconds(maxAge);
  if (version !== VERSION || maxAgeSeconds === undefined) return undefined;
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') return undefined;
  if (mode !== 'none' && mx.length === 0) return undefined;
  return { mode, mx, maxAgeSeconds };
}

/** What stands before and behind the first separator, without blanks around; without one the second is empty. */
function splitAt(text: string, separator: string): [string, string] {
  const before = text.split(separator, 1)[0]!;
  return [trimBlanks(before), trimBlanks(text.substring(before.length + 1))];
}

function trimBlanks(text: string): string {
  let from = 0;
  let end = text.length;
  while (from < end && isBlank(text.charCodeAt(from))) from++;
  while (end > from && isBlank(text.charCodeAt(end - 1))) end--;
  return text.substring(from, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 13;
}

function parseSeconds(text: string): number | undefined {
  if (text.length === 0 || text.length > 10) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return Math.min(value, MAX_AGE_SECONDS);
}

/** A host name, or one behind `*.`. */
function isMxPattern(text: string): boolean {
  return isHostName(text.substring(0, 2) === '*.' ? text.substring(2) : text);
}

/** Whether a text is a name of letters, digits, hyphens, underscores and single dots, of at most 253 bytes. */
export function isHostName(text: string): boolean {
  const bytes = bytesOf(text);
  if (bytes.length === 0 || bytes.length > 253) return false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    const letter = byte | 32;
    if (byte === 46) {
      if (i === 0 || bytes[i - 1] === 46 || i === bytes.length - 1) return false;
    } else if (
      !(letter >= 97 && letter <= 122) &&
      !(byte >= 48 && byte <= 57) &&
      byte !== 45 &&
      byte !== 95
    ) {
      return false;
    }
  }
  return true;
}

/** Whether a policy names a host. @param host in lower case, without a dot at the end */
export function isHostOfPolicy(policy: StsPolicy, host: string): boolean {
  const label = host.split('.', 1)[0]!;
  const wildcard = label === '' ? undefined : `*${host.substring(label.length)}`;
  for (let i = 0; i < policy.mx.length; i++) {
    if (policy.mx[i] === host || policy.mx[i] === wildcard) return true;
  }
  return false;
}
