// The DNS client of a command that an administrator runs: the name servers of $DNSCACHEIP or of this host.

import { SYSTEM_CLOCK } from './clock.ts';
import { type AskDns, createDnsClient, readDnsServers } from './dns-client.ts';
import { Environment } from './raw-arguments.ts';

/** Asks the name servers that this process is to use. */
export function openHostDns(): AskDns {
  const servers = readDnsServers(new Environment(process.env).get('DNSCACHEIP'));
  return createDnsClient({ servers, clock: SYSTEM_CLOCK });
}
