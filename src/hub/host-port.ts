// HOST:PORT as administrators write it.

/** Where to listen: an address or name, and a port from 0 (pick one) to 65535. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, `[IPV6]:PORT`; undefined if it is neither. */
export function parseHostPort(text: string): HostPort | undefined {
  const colon = text.lastIndexOf(':');
  const port = parsePort(text.slice(colon + 1));
  let host = text.slice(0, Math.max(colon, 0));
  if (host.startsWith('[') && host.endsWith(']')) host = host.slice(1, -1);
  else if (host.includes(':')) return undefined;
  return host === '' || port === undefined ? undefined : { host, port };
}

/** The form that {@link parseHostPort} reads. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parsePort(digits: string): number | undefined {
  if (digits.length === 0 || digits.length > 5) return undefined;
  for (const digit of digits) if (digit < '0' || digit > '9') return undefined;
  const port = Number(digits);
  return port <= 65535 ? port : undefined;
}
