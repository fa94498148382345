// Remote delivery by SMTP: finds the hosts of a destination, keeps connections for a while for the next message, and
// reports in qmail-remote's words. The first host that answers decides; a host that cannot be reached is passed over.
//
// TLS is opportunistic (RFC 7435): used when offered, certificates not verified, and after a failed handshake the same
// host is tried in clear on a new connection.

import { promises as dns } from 'node:dns';
import { connect, type Socket } from 'node:net';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Destination } from '../core/policy/route.ts';
import { NO_CONNECTION, UNSENDABLE_ADDRESS, UNSENDABLE_SENDER } from '../core/policy/smtp-report.ts';
import type { Clock } from '../host/clock.ts';
import { formatEnvelopeAddress } from './envelope-address.ts';
import { findMailHosts, type MailHost, type MailHostSettings, readOwnAddresses } from './mail-exchanger.ts';
import { type OpenedSession, openSmtpSession, type SmtpMessage, type SmtpSession } from './smtp-session.ts';
import type { RemoteDelivery, RemoteTransport } from './transport.ts';

/** Connects to an address, or rejects when that fails or takes longer. */
export type Connect = (address: string, port: number, timeoutMs: number) => Promise<Socket>;

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

interface IdleSession {
  readonly key: string;
  readonly session: SmtpSession;
  readonly sinceMs: number;
}

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
  /** Addresses whose TLS failed, and until when they are spoken to in clear. */
  readonly #plain = new Map<string, number>();
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

  async deliver({ destination, sender, recipients, message }: RemoteDelivery): Promise<Outcome[]> {
    const from = formatEnvelopeAddress(sender);
    if (from === undefined) return recipients.map(() => UNSENDABLE_SENDER);
    const to = recipients.map(formatEnvelopeAddress);
    const sendable = to.filter((address) => address !== undefined);
    if (sendable.length === 0) return to.map(() => UNSENDABLE_ADDRESS);
    const sent = await this.#send(destination, { sender: from, recipients: sendable, body: message });
    const outcomes = sent.values();
    return to.map((address) => (address === undefined ? UNSENDABLE_ADDRESS : outcomes.next().value!));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopSweep?.();
    for (const { session } of this.#idle.splice(0)) session.quit();
    for (const session of this.#resetting) session.quit();
  }

  async #send(destination: Destination, message: SmtpMessage): Promise<Outcome[]> {
    const kept = this.#takeIdle(destination.key);
    if (kept !== undefined) {
      const { outcomes, unsent, resetNeeded } = await kept.send(message);
      if (!unsent) {
        void this.#restore(destination.key, kept, resetNeeded);
        return outcomes;
      }
      // The partner had left meanwhile; that says nothing about the message.
    }
    const opened = await this.#open(destination);
    if ('letter' in opened) return message.recipients.map(() => opened);
    const { outcomes, resetNeeded } = await opened.send(message);
    void this.#restore(destination.key, opened, resetNeeded);
    return outcomes;
  }

  /** A session with the first host of the destination that can be reached. */
  async #open(destination: Destination): Promise<SmtpSession | Outcome> {
    const found = await findMailHosts(destination, this.#lookUp);
    if (!found.found) return found.outcome;
    for (const host of found.hosts) {
      const opened = await this.#openAt(host, destination.port);
      if (opened?.state === 'open') return opened.session;
      if (opened?.state === 'refused') return opened.outcome;
    }
    return NO_CONNECTION;
  }

  /** A session with one host, in clear if its TLS does not work; undefined if it cannot be reached. */
  async #openAt(host: MailHost, port: number): Promise<OpenedSession | undefined> {
    const key = `${host.address} ${port}`;
    const tls = (this.#plain.get(key) ?? 0) <= this.#settings.clock.nowMs();
    const opened = await this.#openOnce(host, port, tls);
    if (opened?.state !== 'tls-failed') return opened;
    if (this.#plain.size >= PLAIN_HOSTS_MAX) this.#plain.clear();
    this.#plain.set(key, this.#settings.clock.nowMs() + PLAIN_MS);
    return this.#openOnce(host, port, false);
  }

  async #openOnce(host: MailHost, port: number, tls: boolean): Promise<OpenedSession | undefined> {
    let socket: Socket;
    try {
      socket = await this.#connect(host.address, port, this.#settings.timeoutConnectMs);
    } catch {
      return undefined;
    }
    return openSmtpSession(socket, {
      heloName: this.#settings.heloName,
      partnerName: host.name,
      partner: host.address,
      timeoutMs: this.#settings.timeoutRemoteMs,
      tls,
    });
  }

  #takeIdle(key: string): SmtpSession | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      if (this.#idle[at]!.key !== key) continue;
      const [{ session } = this.#idle[at]!] = this.#idle.splice(at, 1);
      if (session.usable) return session;
    }
    return undefined;
  }

  /** Makes a session ready for the next message; nobody waits for that. */
  async #restore(key: string, session: SmtpSession, resetNeeded: boolean): Promise<void> {
    if (resetNeeded && !this.#closed) {
      this.#resetting.add(session);
      await session.reset();
      this.#resetting.delete(session);
    }
    this.#keep(key, session);
  }

  #keep(key: string, session: SmtpSession): void {
    if (!session.usable) return;
    if (this.#closed || this.#idleMs <= 0) {
      session.quit();
      return;
    }
    this.#idle.push({ key, session, sinceMs: this.#settings.clock.nowMs() });
    if (this.#idle.length > IDLE_SESSIONS_MAX) this.#idle.shift()?.session.quit();
    // One timer for all, so that a message costs none.
    this.#stopSweep ??= this.#settings.clock.after(this.#idleMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#stopSweep = undefined;
    const nowMs = this.#settings.clock.nowMs();
    const isFresh = ({ session, sinceMs }: IdleSession) => session.usable && nowMs - sinceMs < this.#idleMs;
    for (const one of this.#idle) if (!isFresh(one)) one.session.quit();
    this.#idle = this.#idle.filter(isFresh);
    const [oldest] = this.#idle;
    if (oldest === undefined) return;
    this.#stopSweep = this.#settings.clock.after(oldest.sinceMs + this.#idleMs - nowMs, () => this.#sweep());
  }
}

function connectSocket(host: string, port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(timeoutMs, () =>
      fail(new Error(`Cannot connect to ${host}: no answer in ${timeoutMs} ms`)),
    );
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
