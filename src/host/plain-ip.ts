// Addresses of sockets as people and rules write them.

const MAPPED = '::ffff:';

/** An IPv4 address that a socket for IPv6 gives in the form `::ffff:192.0.2.1` as such; others as they are. */
export function plainIp(address: string): string {
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}
