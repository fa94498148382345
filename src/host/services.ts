// Numbers of TCP services by name, from the system's list. Source: services(5).

import { readFileSync } from 'node:fs';

const SERVICES = '/etc/services';

/** The TCP port of a service by its name or another name that it has; undefined if the list does not have it. */
export function findTcpPort(service: string, path = SERVICES): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
  for (const line of text.split('\n')) {
    const [entry = ''] = line.split('#', 1);
    const [name, portAndProtocol = '', ...otherNames] = entry.trim().split(/[ \t]+/);
    const [port, protocol] = portAndProtocol.split('/');
    if (protocol === 'tcp' && (name === service || otherNames.includes(service))) return Number(port);
  }
  return undefined;
}
