// TLS sessions to take up again with the next connection to the same host, which saves the partner's certificate and its
// signature each time. A certificate is judged when its session begins; so a session is only taken up by a connection that
// asks for the same, and never where TLSA records decide: those may be others by now.

import type { TlsDemand } from './tls-check.ts';

const TICKETS_MAX = 1000;
const NOBODY: readonly string[] = [];

interface Ticket {
  readonly names: string;
  readonly authorities: readonly string[];
  readonly session: Buffer;
}

/** See the head of this file; at most 1000 sessions. */
export class TlsTickets {
  /** By host, least recently kept first. */
  readonly #tickets = new Map<string, Ticket>();

  /** The session to offer a host; undefined if there is none. */
  find(host: string, { check, authorities = NOBODY }: TlsDemand): Buffer | undefined {
    const ticket = this.#tickets.get(host);
    return ticket?.names === namesOf(check) && ticket.authorities === authorities
      ? ticket.session
      : undefined;
  }

  keep(host: string, { check, authorities = NOBODY }: TlsDemand, session: Buffer): void {
    if (check?.kind === 'tlsa') return;
    this.#tickets.delete(host);
    const [oldest] = this.#tickets.keys();
    if (this.#tickets.size >= TICKETS_MAX && oldest !== undefined) this.#tickets.delete(oldest);
    this.#tickets.set(host, { names: namesOf(check), authorities, session });
  }
}

function namesOf(check: TlsDemand['check']): string {
  if (check === undefined) return '';
  return `${check.kind} ${check.names.join(' ')}`;
}
