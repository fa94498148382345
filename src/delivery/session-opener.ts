// Opens a session with a host of a destination: the first one, in the order of its MX records, that takes the connection, says
// hello and has the TLS that is asked for. A host that refuses or breaks off before that is passed over for the next (RFC
// 5321 section 5.1); when none is left, the first one's words are the report.
// Differs: for qmail-remote the first host that takes the connection decides.
//
// TLS is opportunistic (RFC 7435) unless tls-policy.ts says otherwise: used when offered, certificates not verified, and after a
// failed handshake the same host is tried in clear on a new connection.

import type { Socket } from 'node:net';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Destination } from '../core/policy/route.ts';
import { LOOKUP_FAILED, NO_CONNECTION, tlsReport, unusableHostReport } from '../core/policy/smtp-report.ts';
import type { Clock } from '../host/clock.ts';
import { errorCode } from '../host/system-error.ts';
import type { Connect } from './connect-socket.ts';
import { findMailHosts, type MailHost, type MailHostSettings } from './mail-exchanger.ts';
import { type OpenedSession, openSmtpSession } from './open-smtp-session.ts';
import type { Contact } from './scheduler.ts';
import type { SmtpSession } from './smtp-session.ts';
import { Standings } from './standing.ts';
import type { TlsDemand } from './tls-check.ts';
import type { SitePolicy, TlsPolicy } from './tls-policy.ts';
import { TlsTickets } from './tls-tickets.ts';

/** What opening depends on. */
export interface SessionOpenerSettings {
  readonly heloName: string;
  /** For one attempt to connect, ms. */
  readonly timeoutConnectMs: number;
  /** For one answer of the partner, ms. */
  readonly timeoutRemoteMs: number;
  readonly clock: Clock;
  readonly connect: Connect;
  readonly lookUp: MailHostSettings;
  readonly tls: TlsPolicy;
}

/** A session, and the name of the destination's best mail exchanger. */
export interface KeptSession {
  readonly session: SmtpSession;
  readonly exchanger: string | undefined;
}

/** Why there is no session. */
export interface NoSession {
  readonly outcome: Outcome;
  readonly contact: Contact;
}

/** An attempt at one host. */
interface Try {
  readonly destination: Destination;
  readonly host: MailHost;
  readonly demand: TlsDemand;
  readonly site: SitePolicy;
  readonly signal: AbortSignal | undefined;
}

/** What the hosts of a destination have said so far. */
interface Walk {
  contact: Contact;
  hasAnswered: boolean;
  refusal: Outcome | undefined;
  /** The report of the first host that takes no mail at all, and whether all have been like that. */
  never: Outcome | undefined;
  isAllNever: boolean;
}

type Opened = OpenedSession | 'no-answer' | 'unreachable';

/** What a connection failed with when nobody answered: our own time limit, the system's, or that of the last hop. */
const NO_ANSWER = new Set(['ETIMEDOUT', 'EHOSTUNREACH']);
const CUT: NoSession = { outcome: NO_CONNECTION, contact: 'cut' };
/** How long a host whose TLS does not work is spoken to in clear without trying, ms. */
const PLAIN_MS = 3_600_000;
const PLAIN_HOSTS_MAX = 1000;
/** Hosts that take the connection and then refuse: more are not tried in one attempt. */
const REFUSALS_MAX = 5;

/** See the head of this file. */
export class SessionOpener {
  readonly #settings: SessionOpenerSettings;
  /** Addresses whose TLS failed, and until when they are spoken to in clear, steady time. */
  readonly #plain = new Map<string, number>();
  /** Addresses that did not answer, see {@link Standings}. */
  readonly #silent = new Standings();
  readonly #tickets = new TlsTickets();

  constructor(settings: SessionOpenerSettings) {
    this.#settings = settings;
  }

  /** A session, or why there is none; does not wait longer than the signal allows. */
  open(destination: Destination, signal: AbortSignal | undefined): Promise<KeptSession | NoSession> {
    if (signal === undefined) return this.#open(destination, undefined);
    return new Promise((resolve, reject) => {
      const cut = () => resolve(CUT);
      signal.addEventListener('abort', cut);
      this.#open(destination, signal)
        .finally(() => signal.removeEventListener('abort', cut))
        .then((opened) => {
          // Too late for this message: nobody takes the session.
          if (signal.aborted && 'session' in opened) opened.session.quit();
          resolve(signal.aborted ? CUT : opened);
        }, reject);
    });
  }

  async #open(destination: Destination, signal: AbortSignal | undefined): Promise<KeptSession | NoSession> {
    const { tls, lookUp } = this.#settings;
    const site = tls.begin(destination);
    const { resolver = lookUp.resolver } = site;
    const [found] = await Promise.all([findMailHosts(destination, { ...lookUp, resolver }), site.prepare()]);
    if (!found.found) {
      const isUnresolved = found.outcome === LOOKUP_FAILED;
      return { outcome: found.outcome, contact: isUnresolved ? 'unresolved' : 'answered' };
    }
    const exchanger = destination.routed ? undefined : found.hosts[0]?.name;
    const walk: Walk = {
      ...{ contact: 'answered', hasAnswered: false, refusal: undefined, never: undefined, isAllNever: true },
    };
    let refusals = 0;
    for (const host of found.hosts) {
      if (signal?.aborted) return CUT;
      const opened = await this.#tryHost(destination, host, { site, walk, signal });
      if (signal?.aborted && (typeof opened !== 'object' || opened.state !== 'open')) return CUT;
      if (typeof opened !== 'object') continue;
      if (opened.state === 'open') return { session: opened.session, exchanger };
      if (opened.state === 'refused' && opened.isForAll) return { outcome: opened.outcome, contact: 'none' };
      if (++refusals >= REFUSALS_MAX) break;
    }
    return outcomeOf(walk);
  }

  /** Tries one host, and notes in `walk` what came of it. */
  async #tryHost(
    destination: Destination,
    host: MailHost,
    { site, walk, signal }: { site: SitePolicy; walk: Walk; signal: AbortSignal | undefined },
  ): Promise<Opened> {
    const { clock, timeoutConnectMs } = this.#settings;
    const address = `${host.address} ${destination.port}`;
    if (this.#silent.isLeftAlone(address, clock.steadyMs())) {
      walk.contact = 'none';
      walk.isAllNever = false;
      return 'no-answer';
    }
    const demand = await site.demandFor(host);
    if (typeof demand === 'string') {
      walk.refusal ??= unusableHostReport(host.name, demand);
      walk.hasAnswered = true;
      return 'unreachable';
    }
    if (signal?.aborted) return 'unreachable';
    const startMs = clock.steadyMs();
    const opened = await this.#openAt({ destination, host, demand, site, signal });
    if (signal?.aborted) return opened;
    const nowMs = clock.steadyMs();
    if (opened === 'no-answer') {
      walk.contact = 'none';
      this.#silent.failed(address, nowMs);
    } else this.#silent.answered(address);
    if (typeof opened !== 'object') walk.isAllNever = false;
    else if (opened.state === 'open') {
      if (opened.fault !== undefined) site.tellTest(host.name, opened.fault);
    } else {
      const outcome =
        opened.state === 'refused' ? opened.outcome : tlsReport(host.address, demand.source, opened.fault);
      // A host that takes the connection and then is silent is no better than one that does not.
      if (nowMs - startMs > timeoutConnectMs) walk.contact = 'none';
      else walk.hasAnswered = true;
      if (outcome.letter === 'D') walk.never ??= outcome;
      else {
        walk.refusal ??= outcome;
        walk.isAllNever = false;
      }
    }
    return opened;
  }

  /** A session with one host, in clear if its TLS does not work and nobody asks for it. */
  async #openAt(attempt: Try): Promise<Opened> {
    const { demand, host, destination } = attempt;
    const mayBeClear = demand.use === 'offered' && destination.protocol !== 'smtps';
    if (!mayBeClear) return this.#openOnce(attempt);
    const key = `${host.address} ${destination.port}`;
    const clear = { ...attempt, demand: { ...demand, use: 'never' as const } };
    const { clock } = this.#settings;
    if ((this.#plain.get(key) ?? Number.NEGATIVE_INFINITY) > clock.steadyMs()) return this.#openOnce(clear);
    const opened = await this.#openOnce(attempt);
    if (typeof opened !== 'object' || opened.state !== 'tls-failed') return opened;
    if (this.#plain.size >= PLAIN_HOSTS_MAX) this.#plain.clear();
    this.#plain.set(key, clock.steadyMs() + PLAIN_MS);
    return this.#openOnce(clear);
  }

  async #openOnce({ destination, host, demand, site, signal }: Try): Promise<Opened> {
    const { heloName, timeoutConnectMs, timeoutRemoteMs, clock, connect } = this.#settings;
    const { port, protocol } = destination;
    let socket: Socket;
    try {
      socket = await connect(host.address, port, timeoutConnectMs, signal);
    } catch (error) {
      return NO_ANSWER.has(errorCode(error) ?? '') ? 'no-answer' : 'unreachable';
    }
    const cut = () => void socket.destroy();
    signal?.addEventListener('abort', cut);
    const ticketKey = `${host.address} ${port} ${host.name}`;
    try {
      return await openSmtpSession(socket, {
        ...{ heloName, partnerName: host.name, partner: host.address, timeoutMs: timeoutRemoteMs },
        ...{ demand, login: site.login, protocol, nowMs: clock.nowMs() },
        ticket: this.#tickets.find(ticketKey, demand),
        onTicket: (ticket) => this.#tickets.keep(ticketKey, demand, ticket),
      });
    } finally {
      signal?.removeEventListener('abort', cut);
    }
  }
}

function outcomeOf({ contact, hasAnswered, refusal, never, isAllNever }: Walk): NoSession {
  const outcome = refusal ?? (isAllNever ? never : undefined) ?? NO_CONNECTION;
  return { outcome, contact: hasAnswered ? 'answered' : contact };
}
