// Remote delivery by SMTP: finds the hosts of a destination, keeps connections for a while for the next message, and
// reports in qmail-remote's words. The first host that answers decides; a host that cannot be reached is passed over.
//
// TLS is opportunistic (RFC 7435): used when offered, certificates not verified, and after a failed handshake the same
// host is tried in clear on a new connection.

import { promises as dns } from 'node:dns';
import { connect, type Socket } from 'node:net';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Destination } from '../core/policy/route.ts';
import {
  LOOKUP_FAILED,
  NO_CONNECTION,
  UNSENDABLE_ADDRESS,
  UNSENDABLE_SENDER,
} from '../core/policy/smtp-report.ts';
import type { Clock } from '../host/clock.ts';
import { errorCode } from '../host/system-error.ts';
import { formatEnvelopeAddress } from './envelope-address.ts';
import { findMailHosts, type MailHost, type MailHostSettings, readOwnAddresses } from './mail-exchanger.ts';
import type { Contact } from './scheduler.ts';
import { type OpenedSession, openSmtpSession, type SmtpMessage, type SmtpSession } from './smtp-session.ts';
import { Standings } from './standing.ts';
import type { RemoteDelivery, RemoteResult, RemoteTransport } from './transport.ts';

/** Connects to an address, or rejects when that fails, takes longer (ETIMEDOUT), or is called off. */
export type Connect = (
  address: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
) => Promise<Socket>;

/** What the transport depends on. */
export interface SmtpTransportSettings {
  readonly heloName: string;
  /** For one attempt to connect, ms. */
  readonly timeoutConnectMs: number;
  /** For one answer of the partner, ms. */
  readonly timeoutRemoteMs: number;
  readonly clock: Clock;
  /** How long a connection is kept for the next message, ms. */
  readonly idleMs?: number;
  readonly connect?: Connect;
  readonly lookUp?: Partial<MailHostSettings>;
}

interface IdleSession extends KeptSession {
  readonly key: string;
  readonly sinceMs: number;
}

/** A session, and the name of the destination's best mail exchanger. */
interface KeptSession {
  readonly session: SmtpSession;
  readonly exchanger: string | undefined;
}

/** Why there is no session. */
interface NoSession {
  readonly outcome: Outcome;
  readonly contact: Contact;
}

/** What a connection failed with when nobody answered: our own time limit, the system's, or that of the last hop. */
const NO_ANSWER = new Set(['ETIMEDOUT', 'EHOSTUNREACH']);
const CUT: NoSession = { outcome: NO_CONNECTION, contact: 'cut' };
const IDLE_MS = 10_000;
const IDLE_SESSIONS_MAX = 100;
/** How long a host whose TLS does not work is spoken to in clear without trying, ms. */
const PLAIN_MS = 3_600_000;
const PLAIN_HOSTS_MAX = 1000;

/** Sends messages by SMTP. */
export class SmtpTransport implements RemoteTransport {
  readonly #settings: SmtpTransportSettings;
  readonly #lookUp: MailHostSettings;
  readonly #connect: Connect;
  readonly #idleMs: number;
  /** Least recently used first. */
  #idle: IdleSession[] = [];
  readonly #resetting = new Set<SmtpSession>();
  /** Addresses whose TLS failed, and until when they are spoken to in clear, steady time. */
  readonly #plain = new Map<string, number>();
  /** Addresses that did not answer, see {@link Standings}. */
  readonly #silent = new Standings();
  #stopSweep: (() => void) | undefined;
  #closed = false;

  constructor(settings: SmtpTransportSettings) {
    this.#settings = settings;
    this.#connect = settings.connect ?? connectSocket;
    this.#idleMs = settings.idleMs ?? IDLE_MS;
    this.#lookUp = {
      resolver: new dns.Resolver(),
      ownAddresses: readOwnAddresses,
      random: Math.random,
      ...settings.lookUp,
    };
  }

  async deliver(delivery: RemoteDelivery): Promise<RemoteResult> {
    const { sender, recipients, message } = delivery;
    const refuse = (outcome: Outcome): RemoteResult => ({
      outcomes: recipients.map(() => outcome),
      contact: 'answered',
    });
    const from = formatEnvelopeAddress(sender);
    if (from === undefined) return refuse(UNSENDABLE_SENDER);
    const to = recipients.map(formatEnvelopeAddress);
    const sendable = to.filter((address) => address !== undefined);
    if (sendable.length === 0) return refuse(UNSENDABLE_ADDRESS);
    const sent = await this.#send(delivery, { sender: from, recipients: sendable, body: message });
    const outcomes = sent.outcomes.values();
    return {
      outcomes: to.map((address) => (address === undefined ? UNSENDABLE_ADDRESS : outcomes.next().value!)),
      contact: sent.contact,
      ...(sent.via && { via: sent.via }),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopSweep?.();
    for (const { session } of this.#idle.splice(0)) session.quit();
    for (const session of this.#resetting) session.quit();
  }

  async #send(
    { destination, signal, onAnswer }: RemoteDelivery,
    message: SmtpMessage,
  ): Promise<RemoteResult> {
    const { key } = destination;
    const kept = this.#takeIdle(key);
    if (kept !== undefined) {
      onAnswer?.(kept.exchanger);
      const { via } = kept.session;
      const { outcomes, unsent, resetNeeded } = await kept.session.send(message);
      if (!unsent) {
        void this.#restore(key, kept, resetNeeded);
        return { outcomes, contact: 'answered', via };
      }
      // The partner had left meanwhile; that says nothing about the message.
    }
    const opened = await this.#openUnlessCut(destination, signal);
    if ('outcome' in opened) {
      return { outcomes: message.recipients.map(() => opened.outcome), contact: opened.contact };
    }
    onAnswer?.(opened.exchanger);
    const { via } = opened.session;
    const { outcomes, resetNeeded } = await opened.session.send(message);
    void this.#restore(key, opened, resetNeeded);
    return { outcomes, contact: 'answered', via };
  }

  /** A session, or why there is none; does not wait longer than the signal allows. */
  #openUnlessCut(
    destination: Destination,
    signal: AbortSignal | undefined,
  ): Promise<KeptSession | NoSession> {
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

  /** A session with the first host of the destination that can be reached. */
  async #open(destination: Destination, signal: AbortSignal | undefined): Promise<KeptSession | NoSession> {
    const found = await findMailHosts(destination, this.#lookUp);
    if (!found.found) {
      const isUnresolved = found.outcome === LOOKUP_FAILED;
      return { outcome: found.outcome, contact: isUnresolved ? 'unresolved' : 'answered' };
    }
    const exchanger = destination.routed ? undefined : found.hosts[0]?.name;
    let contact: Contact = 'answered';
    for (const host of found.hosts) {
      if (signal?.aborted) return CUT;
      const address = `${host.address} ${destination.port}`;
      if (this.#silent.isLeftAlone(address, this.#settings.clock.steadyMs())) {
        contact = 'none';
        continue;
      }
      const startMs = this.#settings.clock.steadyMs();
      const opened = await this.#openAt(host, destination.port, signal);
      if (signal?.aborted && (typeof opened !== 'object' || opened.state !== 'open')) return CUT;
      const nowMs = this.#settings.clock.steadyMs();
      if (opened === 'no-answer') {
        contact = 'none';
        this.#silent.failed(address, nowMs);
        continue;
      }
      this.#silent.answered(address);
      if (opened?.state === 'open') return { session: opened.session, exchanger };
      if (opened?.state !== 'refused') continue;
      // A host that takes the connection and then is silent is no better than one that does not.
      const isSilent = nowMs - startMs > this.#settings.timeoutConnectMs;
      return { outcome: opened.outcome, contact: isSilent ? 'none' : 'answered' };
    }
    return { outcome: NO_CONNECTION, contact };
  }

  /** A session with one host, in clear if its TLS does not work; undefined if it cannot be reached. */
  async #openAt(
    host: MailHost,
    port: number,
    signal: AbortSignal | undefined,
  ): Promise<OpenedSession | 'no-answer' | undefined> {
    const key = `${host.address} ${port}`;
    const tls = (this.#plain.get(key) ?? 0) <= this.#settings.clock.steadyMs();
    const opened = await this.#openOnce({ host, port, tls, signal });
    if (typeof opened !== 'object' || opened.state !== 'tls-failed') return opened;
    if (this.#plain.size >= PLAIN_HOSTS_MAX) this.#plain.clear();
    this.#plain.set(key, this.#settings.clock.steadyMs() + PLAIN_MS);
    return this.#openOnce({ host, port, tls: false, signal });
  }

  async #openOnce({
    host,
    port,
    tls,
    signal,
  }: {
    readonly host: MailHost;
    readonly port: number;
    readonly tls: boolean;
    readonly signal: AbortSignal | undefined;
  }): Promise<OpenedSession | 'no-answer' | undefined> {
    let socket: Socket;
    try {
      socket = await this.#connect(host.address, port, this.#settings.timeoutConnectMs, signal);
    } catch (error) {
      return NO_ANSWER.has(errorCode(error) ?? '') ? 'no-answer' : undefined;
    }
    const cut = () => void socket.destroy();
    signal?.addEventListener('abort', cut);
    try {
      return await openSmtpSession(socket, {
        heloName: this.#settings.heloName,
        partnerName: host.name,
        partner: host.address,
        timeoutMs: this.#settings.timeoutRemoteMs,
        tls,
      });
    } finally {
      signal?.removeEventListener('abort', cut);
    }
  }

  #takeIdle(key: string): KeptSession | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      if (this.#idle[at]!.key !== key) continue;
      const [kept = this.#idle[at]!] = this.#idle.splice(at, 1);
      if (kept.session.usable) return kept;
    }
    return undefined;
  }

  /** Makes a session ready for the next message; nobody waits for that. */
  async #restore(key: string, kept: KeptSession, resetNeeded: boolean): Promise<void> {
    const { session } = kept;
    if (resetNeeded && !this.#closed) {
      this.#resetting.add(session);
      await session.reset();
      this.#resetting.delete(session);
    }
    this.#keep(key, kept);
  }

  #keep(key: string, { session, exchanger }: KeptSession): void {
    if (!session.usable) return;
    if (this.#closed || this.#idleMs <= 0) {
      session.quit();
      return;
    }
    this.#idle.push({ key, session, exchanger, sinceMs: this.#settings.clock.steadyMs() });
    if (this.#idle.length > IDLE_SESSIONS_MAX) this.#idle.shift()?.session.quit();
    // One timer for all, so that a message costs none.
    this.#stopSweep ??= this.#settings.clock.after(this.#idleMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#stopSweep = undefined;
    const nowMs = this.#settings.clock.steadyMs();
    const isFresh = ({ session, sinceMs }: IdleSession) => session.usable && nowMs - sinceMs < this.#idleMs;
    for (const one of this.#idle) if (!isFresh(one)) one.session.quit();
    this.#idle = this.#idle.filter(isFresh);
    const [oldest] = this.#idle;
    if (oldest === undefined) return;
    this.#stopSweep = this.#settings.clock.after(oldest.sinceMs + this.#idleMs - nowMs, () => this.#sweep());
  }
}

function connectSocket(
  host: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const callOff = () => fail(new Error(`Cannot connect to ${host}: called off`));
    const fail = (error: Error) => {
      signal?.removeEventListener('abort', callOff);
      socket.destroy();
      reject(error);
    };
    signal?.addEventListener('abort', callOff);
    socket.setTimeout(timeoutMs, () => {
      const error = new Error(`Cannot connect to ${host}: no answer in ${timeoutMs} ms`);
      fail(Object.assign(error, { code: 'ETIMEDOUT' }));
    });
    socket.once('error', fail);
    socket.once('connect', () => {
      signal?.removeEventListener('abort', callOff);
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
