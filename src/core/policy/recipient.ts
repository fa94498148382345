// Where a recipient of a new message belongs: which channel, and under which address. Pure rewriting, case is kept.
// Source: the qmail-send manual page (envnoathost, percenthack, locals, virtualdomains).

import { bytesOf, concatBytes, copyBytes, findLastByte } from '../bytes/bytes.ts';
import { type DomainMap, domainOf } from '../format/domain-map.ts';
import type { RetryChannel } from './retry-schedule.ts';

const AT = 64;
const PERCENT = 37;
const SEPARATOR = bytesOf('-');

/** The control files that decide. */
export interface RecipientControls {
  /** Appended after an `@` to addresses without one. */
  readonly envnoathost: Uint8Array;
  /** Domains (and hosts) that are this one. */
  readonly locals: DomainMap;
  /** Domains that relay `user%host@domain` to `user@host`. */
  readonly percenthack: DomainMap;
  /** Domains (or whole addresses) whose mail is a local user's: `prepend` by key. */
  readonly virtualdomains: DomainMap;
}

/** A recipient that has its place. */
export interface ClassifiedRecipient {
  readonly channel: RetryChannel;
  readonly address: Uint8Array;
}

/** Rewrites a recipient of the envelope and tells its channel. */
export function classifyRecipient(recipient: Uint8Array, controls: RecipientControls): ClassifiedRecipient {
  const address = undoPercents(withHost(recipient, controls.envnoathost), controls.percenthack);
  const domain = domainOf(address)!;
  if (controls.locals.has(domain)) return { channel: 'local', address };
  const prepend = controls.virtualdomains.get(address) ?? controls.virtualdomains.search(domain);
  if (prepend !== undefined && prepend.length > 0) {
    return { channel: 'local', address: concatBytes([prepend, SEPARATOR, address]) };
  }
  return { channel: 'remote', address };
}

function withHost(address: Uint8Array, host: Uint8Array): Uint8Array {
  return findLastByte(address, AT) >= 0 ? address : concatBytes([address, bytesOf('@'), host]);
}

/** `user%host@domain` becomes `user@host` as long as the domain allows it. */
function undoPercents(given: Uint8Array, percenthack: DomainMap): Uint8Array {
  let address = given;
  for (;;) {
    const at = findLastByte(address, AT);
    if (!percenthack.has(address.subarray(at + 1))) return address;
    const local = address.subarray(0, at);
    const percent = findLastByte(local, PERCENT);
    if (percent < 0) return address;
    address = copyBytes(local);
    address[percent] = AT;
  }
}

/**
 * The address as its sender knew it: without the prepend of a virtual domain, if it begins with the one of its domain.
 */
export function stripVirtualPrepend(address: Uint8Array, virtualdomains: DomainMap): Uint8Array {
  const domain = domainOf(address);
  const prepend = domain && virtualdomains.search(domain);
  if (prepend === undefined || prepend.length === 0 || address.length <= prepend.length) return address;
  for (let i = 0; i < prepend.length; i++) if (address[i] !== prepend[i]) return address;
  return address[prepend.length] === SEPARATOR[0] ? address.subarray(prepend.length + 1) : address;
}
