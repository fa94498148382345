// DKIM signatures (RFC 6376): which fields are signed, whose signature it is, and the text of the DKIM-Signature field. The
// hashing and signing is the caller's. Invariant: every From field is signed and none can be added (one more is listed than
// there is), the body is signed whole (no l=), and the field stays within lines of 78 bytes.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes, findLastByte, lowerCase, textOf } from '../bytes/bytes.ts';
import { AddressListRewriter } from './address-list.ts';
import { type CanonicalField, joinFields, relaxField } from './dkim-canonical.ts';
import { appendEnvelopeForm, parseTokens } from './tokens.ts';

/** Fields that are signed unless somebody says otherwise; a name that ends with `*` is the beginning of names. */
export const SIGNED_FIELDS: readonly string[] = [
  ...['from', 'reply-to', 'to', 'cc', 'subject', 'date', 'message-id', 'in-reply-to', 'references'],
  ...['mime-version', 'content-type', 'content-transfer-encoding', 'list-*'],
];

/** Fields beyond this are not listed: nobody needs them, and the list is sent with each message. */
const LISTED_MAX = 300;
const LINE_BYTES = 72;
const AT = 64;

/** What a signature is made of. */
export interface SignatureParts {
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256';
  readonly domain: string;
  readonly selector: string;
  /** When it is made. */
  readonly nowSeconds: number;
  /** The names of the signed fields, see {@link selectFields}. */
  readonly names: readonly string[];
  /** Of the canonical body, in base64. */
  readonly bodyHash: string;
}

/** The domains of the addresses in the From fields, in order, in lower case; none if there is none that makes sense. */
export function fromDomains(fields: readonly CanonicalField[]): string[] {
  const domains: string[] = [];
  for (let i = 0; i < fields.length; i++) {
    if (fields[i]!.name !== 'from') continue;
    const found: string[] = [];
    const tokens = parseTokens(fields[i]!.bytes);
    if (tokens === undefined) continue;
    new AddressListRewriter().rewrite(tokens, (address) => {
      const plain = new ByteBuffer(64);
      appendEnvelopeForm(plain, address);
      const at = findLastByte(plain.view(), AT);
      if (at >= 0) found.push(textOf(lowerCase(plain.view().subarray(at + 1))));
    });
    // They come last one first.
    for (let k = found.length - 1; k >= 0; k--) domains.push(found[k]!);
  }
  return domains;
}

/**
 * The names for h=, and the signed fields in their canonical form: of each wanted name all fields, last one first, as
 * receivers take them. `from` is wanted in any case, and listed once more than it occurs.
 */
export function selectFields(
  fields: readonly CanonicalField[],
  wanted: readonly string[],
): { readonly names: string[]; readonly canonical: Uint8Array } {
  const names: string[] = [];
  const chosen: Uint8Array[] = [];
  for (let i = fields.length - 1; i >= 0; i--) {
    const { name, bytes } = fields[i]!;
    const isWanted = names.length < LISTED_MAX && wanted.some((pattern) => isNameLike(name, pattern));
    if (!isWanted && name !== 'from') continue;
    names.push(name);
    chosen.push(bytes);
  }
  return { names: names.concat('from'), canonical: joinFields(chosen) };
}

function isNameLike(name: string, pattern: string): boolean {
  const last = pattern.length - 1;
  if (pattern.charAt(last) !== '*') return name === pattern;
  return name.substring(0, last) === pattern.substring(0, last);
}

/** The DKIM-Signature field up to and including `b=`, folded, without a line end: what is signed is its canonical form. */
export function formatUnsigned(parts: SignatureParts): string {
  const { algorithm, domain, selector, nowSeconds, names, bodyHash } = parts;
  let text = `DKIM-Signature: v=1; a=${algorithm}; c=relaxed/relaxed;\r\n d=${domain};`;
  text += `${domain.length + selector.length > LINE_BYTES - 20 ? '\r\n' : ''} s=${selector}; t=${nowSeconds};\r\n h=`;
  let length = 3;
  for (let i = 0; i < names.length; i++) {
    const word = i + 1 < names.length ? `${names[i]}:` : `${names[i]};`;
    if (length > 3 && length + word.length > LINE_BYTES) {
      text += '\r\n ';
      length = 1;
    }
    text += word;
    length += word.length;
  }
  return `${text}\r\n bh=${bodyHash};\r\n b=`;
}

/** What is signed: the canonical fields, and behind them the field of the signature itself. */
export function signedBytes(canonical: Uint8Array, unsigned: string): Uint8Array {
  return concatBytes([canonical, relaxField(bytesOf(unsigned))!.bytes]);
}

/** The whole field with its line end. @param signature in base64 */
export function formatSigned(unsigned: string, signature: string): Uint8Array {
  let text = unsigned;
  for (let at = 0; at < signature.length; at += LINE_BYTES)
    text += (at > 0 ? '\r\n ' : '') + signature.substring(at, at + LINE_BYTES);
  return bytesOf(`${text}\r\n`);
}
