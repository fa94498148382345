// Which local mail goes to users of this machine, and which to mailboxes of the hub: control/localdelivery and users/cdb decide,
// looked at for each message, so that a change counts at once. docs/internals/local.md has the rule in full.

import { findLastByte } from '../core/bytes/bytes.ts';
import { reasonOf } from '../host/system-error.ts';
import { findInUsersCdb, readLocalDelivery } from '../host/users-cdb.ts';
import type { LocalTransport } from './transport.ts';

const AT = 64;

/** The two ways of local mail. */
export interface LocalWays {
  readonly home: string;
  /** Mailboxes of the hub. */
  readonly mailboxes: LocalTransport;
  /** Users of this machine, by qmail-local. */
  readonly users: LocalTransport;
}

/** Sends each message its way; a trouble in finding out which one is a temporary outcome. */
export function createLocalRouter({ home, mailboxes, users }: LocalWays): LocalTransport {
  return {
    async deliver(delivery) {
      let way: LocalTransport;
      try {
        way = isForUser(home, delivery.address) ? users : mailboxes;
      } catch (error) {
        return { letter: 'Z', text: `Unable to tell whose mail this is: ${reasonOf(error)}. (#4.3.0)\n` };
      }
      return way.deliver(delivery);
    },
  };
}

/** Whether a local address, in the form that it has in the queue, is a user's; else a mailbox of the hub has its mail. @throws SystemError */
export function isForUser(home: string, address: Uint8Array): boolean {
  const mode = readLocalDelivery(home);
  if (mode !== 'users') return mode === 'qmail';
  const local = localPartOf(address);
  return local.length > 0 && findInUsersCdb(home, local) !== undefined;
}

/**
 * Whether users/cdb has a local address in its own right: by itself or by a prefix, but not only by that of all addresses.
 * @throws SystemError
 */
export function isAssigned(home: string, address: Uint8Array): boolean {
  if (readLocalDelivery(home) === 'mail') return false;
  const found = findInUsersCdb(home, localPartOf(address));
  return found !== undefined && found.prefixLength !== 0;
}

function localPartOf(address: Uint8Array): Uint8Array {
  return address.subarray(0, Math.max(findLastByte(address, AT), 0));
}
