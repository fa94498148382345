// Local recipients whose mailboxes are another server's, Dovecot's for instance: control/locallmtp says where, and each message
// goes there by LMTP, under the address that its sender knows.

import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { DomainMap } from '../core/format/domain-map.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { stripVirtualPrepend } from '../core/policy/recipient.ts';
import { type Destination, isSocketPath, parseRelay, relayKey } from '../core/policy/route.ts';
import { readControlLine } from '../host/control.ts';
import { SystemError } from '../host/system-error.ts';
import type { LocalDelivery, LocalTransport, RemoteTransport } from './transport.ts';

/**
 * Where `HOME/control/locallmtp` sends local mail: the path of a socket, or `host` or `host:port` as a relay of smtproutes.
 * @returns undefined if the file is missing
 * @throws SystemError when it cannot be read or says something else
 */
export function readLocalLmtp(home: string): Destination | undefined {
  const line = readControlLine(home, 'locallmtp');
  if (line === undefined) return undefined;
  const relay = bytesOf(`lmtp:${textOf(line)}`);
  const parsed = parseRelay(relay);
  if (parsed.protocol === 'lmtp' && (isSocketPath(parsed.host) || parsed.host.length > 0)) {
    return { key: relayKey(relay), ...parsed, routed: true };
  }
  const reason = `"${textOf(line)}" is neither the path of a socket nor a host`;
  throw new SystemError('understand', `${home}/control/locallmtp`, reason);
}

/** Hands local mail to an LMTP server. */
export class LocalLmtpTransport implements LocalTransport {
  readonly #destination: Destination;
  readonly #transport: RemoteTransport;
  readonly #virtualdomains: () => DomainMap;

  /** @param virtualdomains the ones that hold now */
  constructor(destination: Destination, transport: RemoteTransport, virtualdomains: () => DomainMap) {
    this.#destination = destination;
    this.#transport = transport;
    this.#virtualdomains = virtualdomains;
  }

  async deliver({ address, sender, message }: LocalDelivery): Promise<Outcome> {
    const recipient = stripVirtualPrepend(address, this.#virtualdomains());
    const { outcomes } = await this.#transport.deliver({
      ...{ destination: this.#destination, sender, recipients: [recipient], message },
    });
    return outcomes[0]!;
  }
}
