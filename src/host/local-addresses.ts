// The IPv4 addresses of this host. Asked for when somebody names one, not at every start.

/** Whether an interface of this host that is up has the address; 0.0.0.0 counts as one. */
export function isLocalAddress(ip: readonly number[]): boolean {
  const text = ip.join('.');
  if (text === '0.0.0.0') return true;
  const { networkInterfaces } = process.getBuiltinModule('node:os');
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === text));
}
