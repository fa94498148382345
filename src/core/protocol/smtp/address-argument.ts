// The address in the argument of MAIL and RCPT, as lenient as qmail-smtpd: anything may stand before the `<`, and without
// one the address begins after the colon. Linear time. Source: addrparse of qmail-smtpd; RFC 5321 section 4.1.2.

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { concatBytes, findByte, findLastByte } from '../../bytes/bytes.ts';

/** An address without quoting, and what follows it. */
export interface AddressArgument {
  /** Any bytes but NUL and LF; may be empty. */
  readonly address: Uint8Array;
  /** What follows the end of the address: parameters, with the spaces around them. A view. */
  readonly rest: Uint8Array;
  /** Whether the character that ends an address was there. */
  readonly isTerminated: boolean;
}

/** Four numbers of an IPv4 address, each 0 to 255. */
export type Ipv4Address = readonly [number, number, number, number];

const SPACE = 32;
const QUOTE = 34;
const DOT = 46;
const COLON = 58;
const LESS = 60;
const GREATER = 62;
const AT = 64;
const OPEN = 91;
const BACKSLASH = 92;
const CLOSE = 93;

/**
 * Reads the address: between `<` and `>`, else from the first colon to a space. A source route is dropped, a backslash
 * makes the next byte literal, double quotes are dropped. A missing `>` or quote is no error.
 */
export function parseAddressArgument(argument: Uint8Array): AddressArgument {
  const less = findByte(argument, LESS);
  const terminator = less >= 0 ? GREATER : SPACE;
  const at = skipRoute(argument, less >= 0 ? less + 1 : afterColon(argument));
  return copyUntil(argument, at, terminator);
}

function afterColon(argument: Uint8Array): number {
  const colon = findByte(argument, COLON);
  if (colon < 0) return argument.length;
  let at = colon + 1;
  while (at < argument.length && argument[at] === SPACE) at++;
  return at;
}

function skipRoute(argument: Uint8Array, from: number): number {
  if (argument[from] !== AT) return from;
  const colon = findByte(argument, COLON, from);
  return colon < 0 ? argument.length : colon + 1;
}

function copyUntil(argument: Uint8Array, from: number, terminator: number): AddressArgument {
  const address = new ByteBuffer(64);
  let isQuoted = false;
  let isEscaped = false;
  for (let at = from; at < argument.length; at++) {
    const byte = argument[at]!;
    if (isEscaped) {
      address.appendByte(byte);
      isEscaped = false;
    } else if (byte === terminator && !isQuoted) {
      return { address: address.toBytes(), rest: argument.subarray(at + 1), isTerminated: true };
    } else if (byte === BACKSLASH) isEscaped = true;
    else if (byte === QUOTE) isQuoted = !isQuoted;
    else address.appendByte(byte);
  }
  return { address: address.toBytes(), rest: argument.subarray(argument.length), isTerminated: false };
}

/**
 * The address with a literal of this host, such as `[192.0.2.1]`, replaced by a name. Each number counts modulo 256; a
 * domain that is anything else stays.
 * @param isLocal called only for an address with such a literal
 */
export function replaceLocalLiteral(
  address: Uint8Array,
  host: Uint8Array,
  isLocal: (ip: Ipv4Address) => boolean,
): Uint8Array {
  const at = findLastByte(address, AT);
  if (at < 0) return address;
  const ip = parseLiteral(address.subarray(at + 1));
  if (ip === undefined || !isLocal(ip)) return address;
  return concatBytes([address.subarray(0, at + 1), host]);
}

function parseLiteral(domain: Uint8Array): Ipv4Address | undefined {
  if (domain[0] !== OPEN || domain[domain.length - 1] !== CLOSE) return undefined;
  const numbers: number[] = [];
  let value = 0;
  let digits = 0;
  for (let at = 1; at < domain.length; at++) {
    const byte = domain[at]!;
    const isLast = at === domain.length - 1;
    if (byte >= 48 && byte <= 57) {
      value = (value * 10 + (byte - 48)) % 256;
      digits++;
    } else if ((byte === DOT || isLast) && digits > 0) {
      numbers.push(value);
      value = 0;
      digits = 0;
    } else return undefined;
  }
  return numbers.length === 4 ? [numbers[0]!, numbers[1]!, numbers[2]!, numbers[3]!] : undefined;
}
