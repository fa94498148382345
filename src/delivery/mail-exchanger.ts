// Which addresses to connect to for a destination, in which order: a route's relay, an address literal, or the hosts of
// the MX records by preference. A resolver that fails is always a temporary trouble; only "there is no such thing" is final.
// Sources: the qmail-remote manual page; RFC 5321 section 5.1; RFC 7505 (null MX).
// Differs: IPv6 addresses count as well, after the IPv4 addresses of the same host.

import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Outcome } from '../core/policy/outcome.ts';
import { type Destination, isSocketPath } from '../core/policy/route.ts';
import {
  LISTED_AS_EXCHANGER,
  LOOKUP_FAILED,
  NO_EXCHANGER,
  NULL_EXCHANGER,
  unknownHostReport,
} from '../core/policy/smtp-report.ts';
import { errorCode } from '../host/system-error.ts';

/** The part of the domain name system that is asked; Node's `dns.promises.Resolver` has it. */
export interface MailResolver {
  resolveMx(name: string): Promise<{ exchange: string; priority: number }[]>;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/** One address to try. */
export interface MailHost {
  readonly address: string;
  /** Name that led to the address; used to name the partner in TLS. */
  readonly name: string;
  readonly preference: number;
  /** Whether an MX record led to it. */
  readonly isExchanger: boolean;
}

/** Addresses in the order to try, at least one, or why there is none. */
export type MailHosts =
  | { readonly found: true; readonly hosts: readonly MailHost[] }
  | { readonly found: false; readonly outcome: Outcome };

/** What the look-up depends on; each may be replaced in tests. */
export interface MailHostSettings {
  readonly resolver: MailResolver;
  /** Addresses of this machine. */
  readonly ownAddresses: () => ReadonlySet<string>;
  /** A number from 0 up to 1: orders exchangers of equal preference. */
  readonly random: () => number;
}

/** What the look-up of one name gave. */
type Addresses = readonly string[] | 'none' | 'failed';

// A sensible domain has fewer; a hostile one shall not make us ask for thousands of addresses.
const EXCHANGERS_MAX = 20;
// What a resolver says when the name, or the record, does not exist; everything else is trouble that may pass.
const HARD_ERRORS = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

/** Finds where to connect for a destination. */
export async function findMailHosts(
  destination: Destination,
  settings: MailHostSettings,
): Promise<MailHosts> {
  const { host, routed } = destination;
  if (isSocketPath(host)) {
    return { found: true, hosts: [{ address: host, name: host, preference: 0, isExchanger: false }] };
  }
  const literal = parseLiteral(host);
  if (literal !== undefined)
    return withoutOwn(
      hostsAt([literal], literal, { preference: 0, isExchanger: false }),
      destination,
      settings,
    );
  const exchangers = routed ? [] : await lookUpExchangers(host, settings);
  if (exchangers === 'failed') return refuse(LOOKUP_FAILED);
  if (isNullExchanger(exchangers)) return refuse(NULL_EXCHANGER);
  if (exchangers.length > 0) return lookUpHosts(exchangers, destination, settings);
  const addresses = await lookUpAddresses(host, settings.resolver);
  if (addresses === 'failed') return refuse(LOOKUP_FAILED);
  if (addresses === 'none') return refuse(unknownHostReport(host));
  return withoutOwn(hostsAt(addresses, host, { preference: 0, isExchanger: false }), destination, settings);
}

function refuse(outcome: Outcome): MailHosts {
  return { found: false, outcome };
}

/** `1.2.3.4`, `[1.2.3.4]`, `[::1]` or `[IPv6:::1]` as an address; undefined if it is a name. */
function parseLiteral(host: string): string | undefined {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const address = bare.toLowerCase().startsWith('ipv6:') ? bare.slice(5) : bare;
  return isIP(address) === 0 ? undefined : address;
}

interface Exchanger {
  readonly name: string;
  readonly preference: number;
}

/** Exchangers by preference, equal ones in random order; empty if the domain has no MX records. */
async function lookUpExchangers(host: string, settings: MailHostSettings): Promise<Exchanger[] | 'failed'> {
  let records: { exchange: string; priority: number }[];
  try {
    records = await settings.resolver.resolveMx(host);
  } catch (error) {
    return isHard(error) ? [] : 'failed';
  }
  return records
    .map(({ exchange, priority }) => ({
      name: exchange.toLowerCase().replace(/\.$/, ''),
      preference: isIPv4(exchange) ? 0 : priority,
      order: settings.random(),
    }))
    .sort((a, b) => a.preference - b.preference || a.order - b.order)
    .slice(0, EXCHANGERS_MAX);
}

function isNullExchanger(exchangers: readonly Exchanger[]): boolean {
  return exchangers.length === 1 && exchangers[0]?.name === '';
}

async function lookUpHosts(
  exchangers: readonly Exchanger[],
  destination: Destination,
  settings: MailHostSettings,
): Promise<MailHosts> {
  let failed = false;
  const found = await Promise.all(
    exchangers.map(async ({ name, preference }) => {
      const literal = parseLiteral(name);
      const addresses = literal === undefined ? await lookUpAddresses(name, settings.resolver) : [literal];
      if (addresses === 'failed') failed = true;
      return typeof addresses === 'string' ? [] : hostsAt(addresses, name, { preference, isExchanger: true });
    }),
  );
  const hosts = found.flat();
  if (hosts.length === 0) return refuse(failed ? LOOKUP_FAILED : NO_EXCHANGER);
  return withoutOwn(hosts, destination, settings);
}

async function lookUpAddresses(name: string, resolver: MailResolver): Promise<Addresses> {
  if (name === '') return 'none';
  const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const addresses = [four, six].flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  if (addresses.length > 0) return addresses;
  const failed = [four, six].some((one) => one.status === 'rejected' && !isHard(one.reason));
  return failed ? 'failed' : 'none';
}

function isHard(error: unknown): boolean {
  return HARD_ERRORS.has(errorCode(error) ?? '');
}

function hostsAt(
  addresses: readonly string[],
  name: string,
  how: Pick<MailHost, 'preference' | 'isExchanger'>,
): MailHost[] {
  return addresses.map((address) => ({ address, name, ...how }));
}

/** Leaves out this machine and every host that is no better than it, unless a route chose it: mail must not circle. */
function withoutOwn(
  hosts: readonly MailHost[],
  destination: Destination,
  settings: MailHostSettings,
): MailHosts {
  if (destination.routed) return { found: true, hosts };
  const own = settings.ownAddresses();
  const limit = hosts.reduce(
    (lowest, { address, preference }) => (own.has(address) ? Math.min(lowest, preference) : lowest),
    Number.POSITIVE_INFINITY,
  );
  const better = hosts.filter(({ preference }) => preference < limit);
  return better.length > 0 ? { found: true, hosts: better } : refuse(LISTED_AS_EXCHANGER);
}

/** The addresses of this machine's network interfaces, and the unspecified ones, which reach it too. */
export function readOwnAddresses(): ReadonlySet<string> {
  const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(['0.0.0.0', '::', ...interfaces.map(({ address }) => address)]);
}
