// Which host a remote recipient's mail goes to: a relay of control/smtproutes, or whoever the domain's MX records name.
// Source: the qmail-remote manual page.

import { bytesOf, findByte, lowerCase, textOf } from '../bytes/bytes.ts';
import { type DomainMap, domainOf } from '../format/domain-map.ts';

/** Where to connect. Recipients with equal keys can share a connection and a transaction. */
export interface Destination {
  readonly key: string;
  /** Host name, or address literal with or without brackets; one character per byte. */
  readonly host: string;
  readonly port: number;
  /** Whether smtproutes chose the host: then its address records count, not its MX records. */
  readonly routed: boolean;
  /** What is spoken there; SMTP if undefined. */
  readonly protocol?: RelayProtocol;
}

/** TLS from the first byte (RFC 8314), or LMTP (RFC 2033), which may be spoken on a socket that is a file. */
export type RelayProtocol = 'smtps' | 'lmtp';

/** A relay of smtproutes. */
export type Relay = Pick<Destination, 'host' | 'port' | 'protocol'>;

const SMTP_PORT = 25;
const SMTPS_PORT = 465;
const PREFIXES: readonly {
  readonly text: string;
  readonly protocol: RelayProtocol;
  readonly port: number;
}[] = [
  { text: 'smtps:', protocol: 'smtps', port: SMTPS_PORT },
  { text: 'lmtp:', protocol: 'lmtp', port: 24 },
];
const COLON = 58;
const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;

/**
 * The destination of a recipient, or undefined if the address has no `@`.
 * @param smtproutes `domain:` and a relay, see {@link parseRelay} and parseDomainMap(); an empty relay means MX
 */
export function findDestination(recipient: Uint8Array, smtproutes: DomainMap): Destination | undefined {
  const domain = domainOf(recipient);
  if (domain === undefined) return undefined;
  const route = smtproutes.search(domain);
  if (route !== undefined) {
    const relay = parseRelay(route);
    if (relay.host.length > 0) return { key: relayKey(route), ...relay, routed: true };
  }
  const host = textOf(lowerCase(domain));
  return { key: host, host, port: SMTP_PORT, routed: false };
}

/**
 * The same for a host that is given by itself, as to qmail-remote: the names are as they were given, reports show them.
 * The key is that of nobody.
 */
export function findHostDestination(host: Uint8Array, smtproutes: DomainMap): Destination {
  const route = smtproutes.search(host);
  const relay = route && parseRelay(route);
  if (route === undefined || relay === undefined || relay.host.length === 0)
    return { key: '', host: textOf(host), port: SMTP_PORT, routed: false };
  const hostAt = prefixOf(route)?.text.length ?? 0;
  const given = textOf(route.subarray(hostAt, hostAt + relay.host.length));
  return { key: '', ...relay, host: given, routed: true };
}

/** Begins the key of a destination that an operator chose, and of no other: it has no place in a domain or a relay. */
export const CHOSEN_MARK = '>';
const MX_MARK = '@';

/**
 * The key of the destination of a recipient whom an operator sends another way than the routes say; undefined if the
 * address has no `@`. The key says all: {@link readChosenKey} has no need of the routes.
 * @param relay as in smtproutes; empty means MX
 */
export function chosenKey(recipient: Uint8Array, relay: Uint8Array): string | undefined {
  const domain = domainOf(recipient);
  if (domain === undefined) return undefined;
  return CHOSEN_MARK + (relay.length > 0 ? relayKey(relay) : MX_MARK + textOf(lowerCase(domain)));
}

/** Whether a key is of a destination that an operator chose. */
export function isChosenKey(key: string): boolean {
  return key.charAt(0) === CHOSEN_MARK;
}

/** The destination that an operator chose, by its {@link chosenKey}; undefined for any other key. */
export function readChosenKey(key: string): Destination | undefined {
  if (!isChosenKey(key)) return undefined;
  if (key.charAt(1) === MX_MARK) return { key, host: key.substring(2), port: SMTP_PORT, routed: false };
  return { key, ...parseRelay(bytesOf(key.substring(1))), routed: true };
}

/** The {@link Destination.key} of everything that goes to a relay; itself a way to write the relay. @param relay as in smtproutes */
export function relayKey(relay: Uint8Array): string {
  const { host, port } = parseRelay(relay);
  const prefix = prefixOf(relay)?.text ?? '';
  return isSocketPath(host) ? prefix + host : `${prefix}${host}:${port}`;
}

/**
 * Splits `relay` or `relay:port`; the port is the leading digits modulo 65536. Brackets protect the colons of an IPv6
 * address. Differs: without any digit it is 25, not 0, which nobody can connect to; port 465 and `smtps:` before a relay mean
 * TLS from the first byte; `lmtp:` before it means LMTP, on port 24 or on the socket that is the file of a path.
 */
export function parseRelay(relay: Uint8Array): Relay {
  const prefix = prefixOf(relay);
  if (prefix === undefined) {
    const { host, port = SMTP_PORT } = splitPort(relay);
    return port === SMTPS_PORT ? { host, port, protocol: 'smtps' } : { host, port };
  }
  const { protocol } = prefix;
  const rest = relay.subarray(prefix.text.length);
  const whole = textOf(rest);
  if (protocol === 'lmtp' && isSocketPath(whole)) return { host: whole, port: 0, protocol };
  const { host, port = prefix.port } = splitPort(rest);
  return { host, port, protocol };
}

/** Whether the host of a destination is a socket of this machine, which has no port. */
export function isSocketPath(host: string): boolean {
  return host.charAt(0) === '/';
}

/** What stands before a host; a host of that name with a port behind it has no prefix. */
function prefixOf(relay: Uint8Array): (typeof PREFIXES)[number] | undefined {
  for (let i = 0; i < PREFIXES.length; i++) {
    const prefix = PREFIXES[i]!;
    const { length } = prefix.text;
    if (textOf(lowerCase(relay.subarray(0, length))) !== prefix.text) continue;
    for (let at = length; at < relay.length; at++) {
      if (relay[at]! < 48 || relay[at]! > 57) return prefix;
    }
  }
  return undefined;
}

function splitPort(relay: Uint8Array): { host: string; port?: number } {
  const bracket = relay[0] === LEFT_BRACKET ? findByte(relay, RIGHT_BRACKET) : 0;
  const colon = findByte(relay, COLON, Math.max(bracket, 0));
  if (colon < 0) return { host: textOf(lowerCase(relay)) };
  let port = 0;
  let at = colon + 1;
  for (; at < relay.length; at++) {
    const digit = relay[at]! - 48;
    if (digit < 0 || digit > 9) break;
    port = (port * 10 + digit) % 65536;
  }
  const host = textOf(lowerCase(relay.subarray(0, colon)));
  return at === colon + 1 ? { host } : { host, port };
}
