// Which host a remote recipient's mail goes to: a relay of control/smtproutes, or whoever the domain's MX records name.
// Source: the qmail-remote manual page.

import { findByte, lowerCase, textOf } from '../bytes/bytes.ts';
import { type DomainMap, domainOf } from '../format/domain-map.ts';

/** Where to connect. Recipients with equal keys can share a connection and a transaction. */
export interface Destination {
  readonly key: string;
  /** Host name, or address literal with or without brackets; one character per byte. */
  readonly host: string;
  readonly port: number;
  /** Whether smtproutes chose the host: then its address records count, not its MX records. */
  readonly routed: boolean;
}

const SMTP_PORT = 25;
const COLON = 58;
const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;

/**
 * The destination of a recipient, or undefined if the address has no `@`.
 * @param smtproutes `domain:relay` or `domain:relay:port`, see parseDomainMap(); an empty relay means MX
 */
export function findDestination(recipient: Uint8Array, smtproutes: DomainMap): Destination | undefined {
  const domain = domainOf(recipient);
  if (domain === undefined) return undefined;
  const route = smtproutes.search(domain);
  if (route !== undefined) {
    const { host, port } = parseRelay(route);
    if (host.length > 0) return { key: relayKey(route), host, port, routed: true };
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
  return { key: '', host: textOf(route.subarray(0, relay.host.length)), port: relay.port, routed: true };
}

/** The {@link Destination.key} of everything that goes to a relay. @param relay as in smtproutes */
export function relayKey(relay: Uint8Array): string {
  const { host, port } = parseRelay(relay);
  return `${host}:${port}`;
}

/**
 * Splits `relay` or `relay:port`; the port is the leading digits modulo 65536. Brackets protect the colons of an IPv6
 * address. Differs: without any digit it is 25, not 0, which nobody can connect to.
 */
export function parseRelay(relay: Uint8Array): { host: string; port: number } {
  const bracket = relay[0] === LEFT_BRACKET ? findByte(relay, RIGHT_BRACKET) : 0;
  const colon = findByte(relay, COLON, Math.max(bracket, 0));
  if (colon < 0) return { host: textOf(lowerCase(relay)), port: SMTP_PORT };
  let port = 0;
  let at = colon + 1;
  for (; at < relay.length; at++) {
    const digit = relay[at]! - 48;
    if (digit < 0 || digit > 9) break;
    port = (port * 10 + digit) % 65536;
  }
  const host = textOf(lowerCase(relay.subarray(0, colon)));
  return { host, port: at === colon + 1 ? SMTP_PORT : port };
}
