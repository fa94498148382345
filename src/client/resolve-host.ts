// The addresses of a server that is written by name, as the system knows them: hosts file, DNS, whatever nsswitch.conf says.
// Invariant: a look-up ends by itself within a time that does not depend on the resolver's files. Source: resolv.conf(5).

/** The addresses of a host, in the order in which to try them; rejects if there are none, with the resolver's `code`. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/** Asks every name server twice, for two seconds the first time; by itself the C library takes five. */
const LIMITS = 'timeout:2 attempts:2';

/** Looks the name up by the system's resolver. */
export const resolveHost: ResolveHost = (host) => {
  // A process cannot end before its look-ups have, so the limits are the resolver's own. They stay as the user set them.
  process.env['RES_OPTIONS'] ??= LIMITS;
  const dns = process.getBuiltinModule('node:dns');
  return new Promise((resolve, reject) => {
    dns.lookup(host, { all: true, order: 'verbatim' }, (error, found) => {
      if (error) reject(error);
      else resolve(alternateFamilies(found.map(({ address }) => address)));
    });
  });
};

/**
 * The addresses with IPv6 and IPv4 in turns, beginning with the family of the first, each family in its order: a host of which
 * one family is dead is reached by the second attempt. Source: RFC 8305 section 4.
 */
export function alternateFamilies(addresses: readonly string[]): string[] {
  const isIpv6 = (address: string) => address.includes(':');
  const isFirst = (address: string) => isIpv6(address) === isIpv6(addresses[0] ?? '');
  const first = addresses.filter(isFirst);
  const second = addresses.filter((address) => !isFirst(address));
  const found: string[] = [];
  for (let i = 0; i < first.length || i < second.length; i++) {
    for (const address of [first[i], second[i]]) if (address !== undefined) found.push(address);
  }
  return found;
}
