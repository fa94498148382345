// Who may hand mail to the hub. QMQP has no access control of its own: whoever may connect can send anything anywhere,
// so a host that no rule names is refused, and what cannot be read as a rule stops the hub instead of opening it.

import { BlockList, isIP } from 'node:net';
import { textOf } from '../core/bytes/bytes.ts';
import { readControlList } from '../host/control.ts';

const LOOPBACK = ['127.0.0.0/8', '::1'];

/**
 * The rule of `HOME/control/qmqpclients`: one address or network (`192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`) per line.
 * This host itself may always connect; without the file nobody else may.
 * @throws Error that names the file and the entry, if an entry is none of these; SystemError if it cannot be read
 */
export function readAllowedClients(home: string): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of LOOPBACK) addEntry(list, entry);
  for (const bytes of readControlList(home, 'qmqpclients') ?? []) {
    const entry = textOf(bytes);
    if (!addEntry(list, entry)) {
      throw new Error(
        `Cannot use ${home}/control/qmqpclients: entry "${entry.slice(0, 100)}" is not an address or a network such as 10.0.0.0/8`,
      );
    }
  }
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function addEntry(list: BlockList, entry: string): boolean {
  const slash = entry.indexOf('/');
  const address = slash < 0 ? entry : entry.slice(0, slash);
  const family = isIP(address);
  if (family === 0) return false;
  const kind = family === 6 ? 'ipv6' : 'ipv4';
  if (slash < 0) {
    list.addAddress(address, kind);
    return true;
  }
  const digits = entry.slice(slash + 1);
  const prefix = Number(digits);
  if (!/^\d{1,3}$/.test(digits) || prefix > (family === 6 ? 128 : 32)) return false;
  list.addSubnet(address, prefix, kind);
  return true;
}
