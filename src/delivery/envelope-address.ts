// Addresses as they stand in MAIL and RCPT. What could end the command or say something else there is refused before
// anything is sent (RFC 5321 section 4.1.2). Differs: qmail-remote sends bytes that are not UTF-8 as they are.

import { domainOf } from '../core/format/domain-map.ts';
import { quoteAddress } from '../core/message/quote.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LETTER = 97;
// NUL, LF, CR, < and >: also between quotes some receivers take them for what they are outside.
const FORBIDDEN = [0, 10, 13, 60, 62];

/**
 * The address between `<` and `>`, its local part quoted if needed; undefined if it cannot be sent. An address without
 * `@` is not quoted.
 */
export function formatEnvelopeAddress(address: Uint8Array): string | undefined {
  if (FORBIDDEN.some((byte) => address.includes(byte))) return undefined;
  // Beyond ASCII a local part needs no quotes (RFC 6531 section 3.3), and some receivers know the address without them only.
  const plain = address.map((byte) => (byte < 128 ? byte : LETTER));
  const isPlain = domainOf(address) === undefined || quoteAddress(plain) === plain;
  try {
    const text = UTF8.decode(isPlain ? address : quoteAddress(address));
    return text === text.trim() ? text : undefined;
  } catch {
    return undefined;
  }
}
