// Which recipients in domains of its own the hub takes mail for: those of control/recipients, if there is one, and those that
// users/cdb assigns. Both are looked at for each question, so that a change counts at once. Invariant: an address in a domain
// of others is always taken, since who may ask may send anywhere; the postmaster of a local domain is always there (RFC 5321
// section 4.5.1).

import { bytesOf, concatBytes, equalBytes, findByte, lowerCase } from '../core/bytes/bytes.ts';
import { type DomainMap, domainOf, parseDomainSet } from '../core/format/domain-map.ts';
import { mailboxPath } from '../core/format/maildir-name.ts';
import { classifyRecipient, type RecipientControls, stripVirtualPrepend } from '../core/policy/recipient.ts';
import { isAssigned, isForUser } from '../delivery/local-users.ts';
import type { LocalTransport } from '../delivery/transport.ts';
import { readControlList } from '../host/control.ts';
import { fileVersion } from '../host/file-version.ts';

const DASH = 45;
const POSTMASTER = bytesOf('postmaster');

/** See the head of this file. */
export class KnownRecipients {
  readonly #home: string;
  readonly #controls: RecipientControls;
  #version: string | undefined;
  #list: DomainMap | undefined;

  constructor(home: string, controls: RecipientControls) {
    this.#home = home;
    this.#controls = controls;
  }

  /** Whether the hub takes mail for a recipient of an envelope. @throws SystemError if the file cannot be read */
  takes(recipient: Uint8Array): boolean {
    const { channel, address } = classifyRecipient(recipient, this.#controls);
    if (channel === 'remote') return true;
    return this.hasMailbox(address) && (isForUser(this.#home, address) || mailboxPath(address) !== undefined);
  }

  /**
   * Whether a local address, in the form that it has in the queue, may have a mailbox: there is no list, or the address or
   * `@` and its domain are in it, or users/cdb assigns it to a user, not only as everything that is left. Mail for no local part
   * at all is dropped later on, not refused.
   * @throws SystemError if a file cannot be read
   */
  hasMailbox(localAddress: Uint8Array): boolean {
    const list = this.#current();
    if (list === undefined) return true;
    const address = this.#undoVirtual(localAddress);
    const domain = domainOf(address) ?? new Uint8Array(0);
    const local = lowerCase(address.subarray(0, address.length - domain.length - 1));
    if (local.length === 0 || equalBytes(local, POSTMASTER)) return true;
    if (list.has(address) || list.has(concatBytes([bytesOf('@'), domain]))) return true;
    return isAssigned(this.#home, localAddress);
  }

  /** The address that virtualdomains made this one of, if it did: by an entry for the address itself, or for its domain. */
  #undoVirtual(address: Uint8Array): Uint8Array {
    const { virtualdomains } = this.#controls;
    for (let dash = findByte(address, DASH); dash >= 0; dash = findByte(address, DASH, dash + 1)) {
      const prepend = virtualdomains.get(address.subarray(dash + 1));
      if (prepend !== undefined && equalBytes(prepend, address.subarray(0, dash)))
        return address.subarray(dash + 1);
    }
    return stripVirtualPrepend(address, virtualdomains);
  }

  #current(): DomainMap | undefined {
    const version = fileVersion(`${this.#home}/control/recipients`);
    if (version !== this.#version) {
      const list = version === undefined ? undefined : readControlList(this.#home, 'recipients');
      this.#list = list && parseDomainSet(list);
      this.#version = version;
    }
    return this.#list;
  }
}

/** Refuses what has no mailbox, and hands on all else. */
export function guardMailboxes(transport: LocalTransport, known: KnownRecipients): LocalTransport {
  return {
    async deliver(delivery) {
      let hasMailbox: boolean;
      try {
        hasMailbox = known.hasMailbox(delivery.address);
      } catch {
        return { letter: 'Z', text: 'Unable to tell who has mailboxes here. (#4.3.0)\n' };
      }
      if (hasMailbox) return transport.deliver(delivery);
      return { letter: 'D', text: 'Sorry, no mailbox here by that name. (#5.1.1)\n' };
    },
  };
}
