// The text that address rules are written in, and the records that it becomes. One rule per line:
//   ADDRESS:allow,NAME="VALUE",…      or      ADDRESS:deny
// Source: the tcprules page of cr.yp.to/ucspi-tcp. Beyond it there are networks, IPv6 addresses and names of certificates;
// they are written in ways that are errors there (but for IPv4 networks, see cidrKeys), so that no old line has a new meaning,
// and their keys hold a colon, which no key of an old line can.

import { bytesOf, concatBytes, copyBytes, findByte, findLastByte, startsWith } from '../bytes/bytes.ts';
import { LineCutter } from '../bytes/line-cutter.ts';
import { trimRight } from './control-file.ts';
import { ipv6Digits, parseIpv4, parseIpv6 } from './ip-address.ts';

const HASH = 35;
const COMMA = 44;
const DASH = 45;
const DOT = 46;
const SLASH = 47;
const COLON = 58;
const EQUALS = 61;
const AT = 64;
const OPEN = 91;
const CLOSE = 93;

/** What the key of an IPv6 rule begins with; behind it are the first hexadecimal digits of its addresses, all 32 for one. */
export const IPV6_KEY = bytesOf('ip6:');

const CERTIFICATE = bytesOf('cert:');
const ALLOW = bytesOf('allow');
const DENY = bytesOf('deny');
const DENY_DATA = bytesOf('D\0');
const NUL = bytesOf('\0');

/** The key of rules for a name in a client's certificate: `[cert:NAME]`, which no address, ident or host key can be. */
export function certificateKey(name: Uint8Array): Uint8Array {
  return concatBytes([bytesOf('[cert:'), name, bytesOf(']')]);
}

/** A rule: one key per address or group of addresses that it is for (at most 256), and what is to be stored for each. */
export interface TcpRuleLine {
  readonly keys: readonly Uint8Array[];
  readonly data: Uint8Array;
}

/**
 * Reads rules from a text that comes in pieces of any size. Time and memory are linear in the text, where a line's variables
 * are stored once per key.
 */
export class TcpRulesReader {
  readonly #take: (rule: TcpRuleLine) => void;
  readonly #lines = new LineCutter((line) => this.#read(line));
  #bad: Uint8Array | undefined;

  /** @param take is called with every rule in order, before the call that completed its line returns */
  constructor(take: (rule: TcpRuleLine) => void) {
    this.#take = take;
  }

  /** Reads what comes next; returns the first line that is no rule, without blanks at its end. Nothing behind it is read. */
  receive(bytes: Uint8Array): Uint8Array | undefined {
    this.#lines.receive(bytes);
    return this.#bad;
  }

  /** There is no more; returns the first line that is no rule. */
  receiveEnd(): Uint8Array | undefined {
    this.#lines.receiveEnd();
    return this.#bad;
  }

  #read(untrimmed: Uint8Array): void {
    if (this.#bad !== undefined || untrimmed[0] === HASH) return;
    const line = trimRight(untrimmed);
    if (findByte(line, COLON) < 0) return;
    const rule = parseOldLine(line) ?? parseNewLine(line);
    if (rule === undefined) this.#bad = copyBytes(line);
    else this.#take(rule);
  }
}

/** A line as it always was: the address ends before the first colon. */
function parseOldLine(line: Uint8Array): TcpRuleLine | undefined {
  const colon = findByte(line, COLON);
  const data = parseInstructions(line.subarray(colon + 1));
  const keys = data && keysOfAddress(line.subarray(0, colon));
  return keys && { keys, data };
}

/** A line that was an error: `[ADDRESS]`, `[ADDRESS]/BITS`, `INFO@[ADDRESS]` or `[cert:NAME]` before the colon. */
function parseNewLine(line: Uint8Array): TcpRuleLine | undefined {
  const open = findByte(line, OPEN);
  if (open < 0 || (open > 0 && line[open - 1] !== AT)) return undefined;
  const close = findByte(line, CLOSE, open);
  const colon = close < 0 ? -1 : findByte(line, COLON, close);
  if (colon < 0) return undefined;
  const data = parseInstructions(line.subarray(colon + 1));
  const inside = line.subarray(open + 1, close);
  const keys = data && keysInBrackets(line.subarray(0, open), inside, line.subarray(close + 1, colon));
  return keys && { keys, data };
}

function keysInBrackets(
  before: Uint8Array,
  inside: Uint8Array,
  behind: Uint8Array,
): Uint8Array[] | undefined {
  if (startsWith(inside, CERTIFICATE)) {
    if (before.length + behind.length > 0 || inside.length === CERTIFICATE.length) return undefined;
    return [certificateKey(inside.subarray(CERTIFICATE.length))];
  }
  const groups = parseIpv6(inside);
  // Connections from IPv4 addresses in IPv6 form have the plain address: a rule in that form would be dead.
  if (groups === undefined || isMappedIpv4(groups)) return undefined;
  const digits = ipv6Digits(groups);
  if (behind.length === 0) return [concatBytes([before, IPV6_KEY, digits])];
  const bits = behind[0] === SLASH ? parseBits(behind.subarray(1), 128) : undefined;
  if (bits === undefined || before.length > 0) return undefined;
  return ipv6NetworkKeys(digits, bits);
}

function isMappedIpv4(groups: Uint16Array): boolean {
  for (let i = 0; i < 5; i++) if (groups[i] !== 0) return false;
  return groups[5] === 0xffff;
}

/** One key if the network ends between two digits, else one for each value of the digit that it ends in: at most 8. */
function ipv6NetworkKeys(digits: Uint8Array, bits: number): Uint8Array[] {
  const whole = bits >> 2;
  const key = concatBytes([IPV6_KEY, digits.subarray(0, whole)]);
  if (bits % 4 === 0) return [key];
  const size = 16 >> (bits % 4);
  const digit = digits[whole]!;
  const value = digit < 58 ? digit - 48 : digit - 87;
  const first = value - (value % size);
  const keys: Uint8Array[] = [];
  for (let i = first; i < first + size; i++)
    keys.push(concatBytes([key, bytesOf(i < 10 ? `${i}` : String.fromCharCode(87 + i))]));
  return keys;
}

/** The keys of an address, or undefined if it has a range that is none. */
function keysOfAddress(address: Uint8Array): Uint8Array[] | undefined {
  if (findByte(address, EQUALS) >= 0 || findByte(address, AT) >= 0) return [copyBytes(address)];
  const dash = findByte(address, DASH);
  if (dash < 0) return cidrKeys(address) ?? [copyBytes(address)];
  const left = findLastByte(address.subarray(0, dash), DOT) + 1;
  const dot = findByte(address, DOT, dash);
  const right = dot < 0 ? address.length : dot;
  const bottom = parseOctet(address.subarray(left, dash));
  const top = parseOctet(address.subarray(dash + 1, right));
  if (bottom === undefined || top === undefined) return undefined;
  return numberedKeys(address.subarray(0, left), bottom, Math.min(top, 255), address.subarray(right));
}

/**
 * The keys of an IPv4 network ADDRESS/BITS, or undefined if the address is something else: whole addresses below, prefixes
 * that end with a dot above, at most 256. Differs: for the original such a line is a rule for clients whose address
 * is literally `10.1.0.0/22`, which is nobody's; a network that somebody meant to deny would stay open.
 */
function cidrKeys(address: Uint8Array): Uint8Array[] | undefined {
  const slash = findByte(address, SLASH);
  const quad = slash < 0 ? undefined : parseIpv4(address.subarray(0, slash));
  const bits = quad && parseBits(address.subarray(slash + 1), 32);
  if (bits === undefined) return undefined;
  const octet = bits === 0 ? 0 : (bits - 1) >> 3;
  const size = 1 << (8 * (octet + 1) - bits);
  let before = '';
  for (let i = 0; i < octet; i++) before += `${quad![i]}.`;
  const first = quad![octet]! - (quad![octet]! % size);
  return numberedKeys(
    bytesOf(before),
    first,
    first + size - 1,
    octet === 3 ? new Uint8Array(0) : bytesOf('.'),
  );
}

function numberedKeys(before: Uint8Array, bottom: number, top: number, behind: Uint8Array): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let n = bottom; n <= top; n++) keys.push(concatBytes([before, bytesOf(`${n}`), behind]));
  return keys;
}

/** A number of digits only, modulo 2^64 as the original counts; 256 stands for all above 255. Undefined if it is none. */
function parseOctet(text: Uint8Array): number | undefined {
  let high = 0;
  let low = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text[i]! - 48;
    if (digit < 0 || digit > 9) return undefined;
    low = low * 10 + digit;
    high = (high * 10 + Math.floor(low / 4294967296)) % 4294967296;
    low %= 4294967296;
  }
  return high > 0 ? 256 : Math.min(low, 256);
}

/** One to three digits without leading zeros, at most so many. */
function parseBits(text: Uint8Array, most: number): number | undefined {
  const bits = text.length === 0 || text.length > 3 ? undefined : parseOctet(text);
  if (bits === undefined || bits > most || (text[0] === 48 && text.length > 1)) return undefined;
  return bits;
}

/** What a line says behind the colon, as the data that is stored for it: undefined if it cannot be read. */
function parseInstructions(text: Uint8Array): Uint8Array | undefined {
  const isDeny = startsWith(text, DENY);
  if (!isDeny && !startsWith(text, ALLOW)) return undefined;
  const parts: Uint8Array[] = isDeny ? [DENY_DATA] : [];
  let at = isDeny ? DENY.length : ALLOW.length;
  while (at < text.length) {
    if (text[at] !== COMMA) return undefined;
    const equals = findByte(text, EQUALS, at + 1);
    if (equals < 0 || equals + 1 >= text.length) return undefined;
    const end = findByte(text, text[equals + 1]!, equals + 2);
    if (end < 0) return undefined;
    parts.push(bytesOf('+'), text.subarray(at + 1, equals + 1), text.subarray(equals + 2, end), NUL);
    at = end + 1;
  }
  return concatBytes(parts);
}
