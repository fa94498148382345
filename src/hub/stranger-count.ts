// Counts connections of those who may be anybody, in all and by network, so that one of them keeps nobody else out.

import { bytesOf } from '../core/bytes/bytes.ts';
import { parseIpv6 } from '../core/format/ip-address.ts';

/** How many there may be. */
export interface StrangerLimits {
  readonly totalMax: number;
  /** From one address, or one IPv6 network of 64 bits. */
  readonly perNetworkMax: number;
}

const NETWORK_GROUPS = 4;

/** See the head of this file. */
export class StrangerCount {
  readonly #limits: StrangerLimits;
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor(limits: StrangerLimits) {
    this.#limits = limits;
  }

  /** Where there is no room for one more: in its network, or in all. */
  shortage(ip: string): 'network' | 'total' | undefined {
    if ((this.#counts.get(networkOf(ip)) ?? 0) >= this.#limits.perNetworkMax) return 'network';
    return this.#total >= this.#limits.totalMax ? 'total' : undefined;
  }

  /** Counts one more; whether there is room for it. */
  take(ip: string): boolean {
    if (this.shortage(ip) !== undefined) return false;
    const network = networkOf(ip);
    this.#counts.set(network, (this.#counts.get(network) ?? 0) + 1);
    this.#total++;
    return true;
  }

  /** One that was counted is gone, or no stranger any more. */
  give(ip: string): void {
    const network = networkOf(ip);
    const count = (this.#counts.get(network) ?? 0) - 1;
    if (count > 0) this.#counts.set(network, count);
    else this.#counts.delete(network);
    this.#total--;
  }
}

/** What one client can have many addresses of: the first half of an IPv6 address. */
function networkOf(ip: string): string {
  const groups = parseIpv6(bytesOf(ip.split('%')[0] ?? ''));
  return groups === undefined ? ip : groups.subarray(0, NETWORK_GROUPS).join(':');
}
