// Remote delivery by SMTP and LMTP: keeps connections for a while for the next message, and reports in qmail-remote's words.
// Which hosts there are says mail-exchanger.ts, how a session with one of them comes about session-opener.ts.

import { promises as dns } from 'node:dns';
import type { Outcome } from '../core/policy/outcome.ts';
import { UNSENDABLE_ADDRESS, UNSENDABLE_SENDER } from '../core/policy/smtp-report.ts';
import type { Clock } from '../host/clock.ts';
import { type Connect, connectSocket } from './connect-socket.ts';
import { formatEnvelopeAddress } from './envelope-address.ts';
import { type MailHostSettings, readOwnAddresses } from './mail-exchanger.ts';
import { sendInTurns } from './send-in-turns.ts';
import { type KeptSession, SessionOpener } from './session-opener.ts';
import type { SmtpMessage, SmtpSession } from './smtp-session.ts';
import { TlsPolicy } from './tls-policy.ts';
import type { RemoteDelivery, RemoteResult, RemoteTransport } from './transport.ts';

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
  /** Without one TLS is opportunistic everywhere, and nobody is logged in to. */
  readonly tls?: TlsPolicy;
}

interface IdleSession extends KeptSession {
  readonly key: string;
  readonly sinceMs: number;
}

const IDLE_MS = 10_000;
const IDLE_SESSIONS_MAX = 100;

/** Sends messages by SMTP. */
export class SmtpTransport implements RemoteTransport {
  readonly #settings: SmtpTransportSettings;
  readonly #opener: SessionOpener;
  readonly #idleMs: number;
  /** Least recently used first. */
  #idle: IdleSession[] = [];
  readonly #resetting = new Set<SmtpSession>();
  #stopSweep: (() => void) | undefined;
  #closed = false;

  constructor(settings: SmtpTransportSettings) {
    this.#settings = settings;
    this.#idleMs = settings.idleMs ?? IDLE_MS;
    const lookUp = {
      resolver: new dns.Resolver(),
      ownAddresses: readOwnAddresses,
      random: Math.random,
      ...settings.lookUp,
    };
    const { connect = connectSocket, tls = new TlsPolicy({}) } = settings;
    this.#opener = new SessionOpener({ ...settings, connect, lookUp, tls });
  }

  async deliver(delivery: RemoteDelivery): Promise<RemoteResult> {
    const { sender, recipients, message, dsn } = delivery;
    const refuse = (outcome: Outcome): RemoteResult => ({
      outcomes: recipients.map(() => outcome),
      contact: 'answered',
    });
    const from = formatEnvelopeAddress(sender);
    if (from === undefined) return refuse(UNSENDABLE_SENDER);
    const to = recipients.map(formatEnvelopeAddress);
    const sendable = to.filter((address) => address !== undefined);
    if (sendable.length === 0) return refuse(UNSENDABLE_ADDRESS);
    const asked = dsn && {
      ...dsn,
      recipients: dsn.recipients.filter((_, i) => to[i] !== undefined),
    };
    const sent = await this.#send(delivery, {
      ...{ sender: from, recipients: sendable, body: message, dsn: asked },
    });
    const outcomes = sent.outcomes.values();
    return {
      outcomes: to.map((address) => (address === undefined ? UNSENDABLE_ADDRESS : outcomes.next().value!)),
      contact: sent.contact,
      ...(sent.via && { via: sent.via }),
      ...(sent.passedOn && { passedOn: true }),
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
      const { outcomes, unsent, resetNeeded, passedOn = false } = await sendInTurns(kept.session, message);
      if (!unsent) {
        void this.#restore(key, kept, resetNeeded);
        return { outcomes, contact: 'answered', via, passedOn };
      }
      // The partner had left meanwhile; that says nothing about the message.
    }
    const opened = await this.#opener.open(destination, signal);
    if ('outcome' in opened) {
      return { outcomes: message.recipients.map(() => opened.outcome), contact: opened.contact };
    }
    onAnswer?.(opened.exchanger);
    const { via } = opened.session;
    const { outcomes, resetNeeded, passedOn = false } = await sendInTurns(opened.session, message);
    void this.#restore(key, opened, resetNeeded);
    return { outcomes, contact: 'answered', via, passedOn };
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
