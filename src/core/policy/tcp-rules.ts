// Which address rule holds for a connection, and what it says. Rules are records of a cdb (format/tcp-rules-source.ts makes
// them); this knows the order in which they are looked up: the first that exists holds, nothing is merged.
// Source: the tcprules, tcprulescheck and tcpserver pages of cr.yp.to/ucspi-tcp.

import { bytesOf, concatBytes, copyBytes, findByte } from '../bytes/bytes.ts';
import { ipv6Digits, parseIpv6 } from '../format/ip-address.ts';
import { certificateKey, IPV6_KEY } from '../format/tcp-rules-source.ts';

const AT = bytesOf('@');
const EQUALS = bytesOf('=');
const AT_EQUALS = bytesOf('@=');
const DOT = 46;
const PERCENT = 37;
const COLON = 58;
const DENY = 68;
const PLUS = 43;
const EQUALS_SIGN = 61;

/** What is known about the other end. A name that could not be found out is absent; an empty one is there and empty. */
export interface TcpClient {
  /** `$TCPREMOTEIP`, an IPv4 or IPv6 address; an IPv4 address in IPv6 form matches no IPv4 rule, so write it plainly. */
  readonly ip: Uint8Array;
  /** `$TCPREMOTEHOST`. */
  readonly host?: Uint8Array;
  /** `$TCPREMOTEINFO`. */
  readonly info?: Uint8Array;
  /** `$TCPREMOTECERT`, a name in the client's certificate, which the server has verified. */
  readonly certificate?: Uint8Array;
}

/** The rule that holds: the key that it was found by, and its data. */
export interface TcpRule {
  readonly key: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * The rule that holds for a client; undefined if none does, so that it may connect.
 * @param find looks a key up: its data, or undefined if there is none. Where it says `corrupt`, so does this
 */
export function findTcpRule<Found extends Uint8Array | 'corrupt' | undefined>(
  find: (key: Uint8Array) => Found,
  client: TcpClient,
): TcpRule | Exclude<Found, Uint8Array> | undefined {
  const keys = keysOf(client);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const data = find(key);
    if (data === undefined) continue;
    return typeof data === 'string' ? (data as Exclude<Found, Uint8Array>) : { key, data };
  }
  return undefined;
}

/** Keys in the order of look-up. Differs: an original reader knows neither certificates nor IPv6, and tries neither. */
function keysOf(client: TcpClient): Uint8Array[] {
  const { ip, host, info, certificate } = client;
  const ipv6 = ipv6KeyOf(ip);
  const keys: Uint8Array[] = [];
  if (certificate !== undefined) keys.push(certificateKey(certificate));
  if (info !== undefined) {
    if (ipv6 !== undefined) keys.push(concatBytes([info, AT, ipv6]));
    keys.push(concatBytes([info, AT, ip]));
    if (host !== undefined) keys.push(concatBytes([info, AT_EQUALS, host]));
  }
  if (ipv6 !== undefined) keys.push(ipv6);
  keys.push(ip);
  if (host !== undefined) keys.push(concatBytes([EQUALS, host]));
  if (ipv6 !== undefined) {
    for (let end = ipv6.length - 1; end >= IPV6_KEY.length; end--) keys.push(ipv6.subarray(0, end));
  }
  for (let end = ip.length; end > 0; end--) if (ip[end - 1] === DOT) keys.push(ip.subarray(0, end));
  if (host !== undefined) {
    for (let at = 0; at < host.length; at++) {
      if (host[at] === DOT) keys.push(concatBytes([EQUALS, host.subarray(at)]));
    }
    keys.push(EQUALS);
  }
  keys.push(new Uint8Array(0));
  return keys;
}

function ipv6KeyOf(ip: Uint8Array): Uint8Array | undefined {
  if (findByte(ip, COLON) < 0) return undefined;
  const zone = findByte(ip, PERCENT);
  const groups = parseIpv6(zone < 0 ? ip : ip.subarray(0, zone));
  return groups && concatBytes([IPV6_KEY, ipv6Digits(groups)]);
}

/** A variable that a rule sets. */
export interface TcpRuleVariable {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** What a rule's data says: whether the client may connect, and variables in the order in which they are to be set. */
export interface TcpRuleVerdict {
  readonly allow: boolean;
  readonly environment: readonly TcpRuleVariable[];
}

/**
 * Reads a rule's data: NUL-terminated strings, of which only `D…` and `+NAME=VALUE` mean something.
 * @param untilDeny leave out the variables behind a `D…`, for who shows what a rule does
 */
export function readTcpRuleData(data: Uint8Array, untilDeny = false): TcpRuleVerdict {
  let allow = true;
  const environment: TcpRuleVariable[] = [];
  let from = 0;
  for (let nul = findByte(data, 0); nul >= 0; nul = findByte(data, 0, from)) {
    const text = data.subarray(from, nul);
    from = nul + 1;
    if (text[0] === DENY) allow = false;
    if (!allow && untilDeny) break;
    if (text[0] !== PLUS) continue;
    const equals = findByte(text, EQUALS_SIGN);
    if (equals < 0) continue;
    environment.push({
      name: copyBytes(text.subarray(1, equals)),
      value: copyBytes(text.subarray(equals + 1)),
    });
  }
  return { allow, environment };
}
