// The beginning of an SMTP or LMTP session: greeting, name, TLS and the judgement of it, login. Invariant: what comes out as open
// has the TLS that is asked for, and nothing but our name, and a password if it may, was sent before that was certain.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Outcome } from '../core/policy/outcome.ts';
import type { RelayProtocol } from '../core/policy/route.ts';
import {
  diedReport,
  loginReport,
  noMailReport,
  refusalReport,
  tlsReport,
} from '../core/policy/smtp-report.ts';
import { insideOf, replyOf, type SmtpFailure } from './smtp-inside.ts';
import type { SmtpLogin } from './smtp-logins.ts';
import { SmtpSession } from './smtp-session.ts';
import { findTlsFault, type TlsDemand, tlsContextFor } from './tls-check.ts';
import { isLoopback } from './tls-policy.ts';

const REPLY_BYTES_MAX = 65_536;

/** How a session is opened. */
export interface SmtpSessionSettings {
  /** What we call ourselves in EHLO. */
  readonly heloName: string;
  /** Name of the partner, for TLS; an address if it has none. */
  readonly partnerName: string;
  /** Address of the partner, for reports. */
  readonly partner: string;
  /** Longest silence of the partner, ms. */
  readonly timeoutMs: number;
  /** SMTP if undefined. */
  readonly protocol: RelayProtocol | undefined;
  readonly demand: TlsDemand;
  /** With which name and password, if the partner shall have them. */
  readonly login: SmtpLogin | undefined;
  /** For the dates of certificates, ms since 1970. */
  readonly nowMs: number;
  /** An earlier TLS session with the partner. */
  readonly ticket: Buffer | undefined;
  /** Called with every TLS session that can be taken up later. */
  readonly onTicket: (ticket: Buffer) => void;
}

/** A session, or why there is none. */
export type OpenedSession =
  /** `fault` is what an observed check found. */
  | { readonly state: 'open'; readonly session: SmtpSession; readonly fault: string | undefined }
  /** `isForAll`: the destination's other hosts would do the same. */
  | { readonly state: 'refused'; readonly outcome: Outcome; readonly isForAll?: true }
  /** The handshake went wrong, or there was none where there had to be one; a new connection in clear may be tried. */
  | { readonly state: 'tls-failed'; readonly fault: string };

/**
 * Waits for the greeting, says who we are, starts TLS as far as wanted and offered, judges the certificate and logs in. Takes
 * over the socket, which is connected.
 */
export function openSmtpSession(socket: Socket, settings: SmtpSessionSettings): Promise<OpenedSession> {
  const { heloName, partnerName, partner, timeoutMs, demand, protocol, ticket } = settings;
  const connection = new SMTPConnection({
    connection: socket,
    secure: protocol === 'smtps',
    lmtp: protocol === 'lmtp',
    host: partnerName,
    name: heloName,
    ignoreTLS: demand.use === 'never',
    opportunisticTLS: demand.use !== 'demanded',
    requireTLS: demand.use === 'demanded',
    // The certificate is judged afterwards; here it must only be shown.
    tls: {
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      secureContext: tlsContextFor(demand),
      ...(ticket && { session: ticket }),
    },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    maxResponseSize: REPLY_BYTES_MAX,
  });
  return new Promise((resolve) => {
    const end = (opened: OpenedSession) => {
      connection.close();
      resolve(opened);
    };
    const fail = (failure: SmtpFailure) => {
      const { _plaintextEhlo: isStarting } = insideOf(connection);
      const inHandshake = failure.code === 'ETLS' || connection.upgrading === true || Boolean(isStarting);
      end(inHandshake ? tlsFailure(failure) : openFailure(failure, settings));
    };
    // Stays for the session's life: an 'error' event without listener would end the process.
    connection.on('error', fail);
    connection.connect((failure) => {
      if (failure) return fail(failure);
      const judged = judgeTls(connection, settings);
      if (typeof judged === 'object') return end(judged);
      const open = () =>
        resolve({ state: 'open', session: new SmtpSession(connection, partner, protocol), fault: judged });
      if (settings.login === undefined) return open();
      return logIn(connection, settings, settings.login, (fault) =>
        fault === undefined ? open() : end(fault),
      );
    });
  });
}

/** Why the session must not be used; else in words what an observed check found, or undefined. */
function judgeTls(
  connection: SMTPConnection,
  settings: SmtpSessionSettings,
): OpenedSession | string | undefined {
  const { demand, partner, nowMs, onTicket } = settings;
  const { _socket: socket } = insideOf(connection);
  const isSecure = socket instanceof TLSSocket;
  if (!isSecure && demand.use === 'demanded') return { state: 'tls-failed', fault: 'it is not offered' };
  const findFault = (): string | undefined => {
    if (demand.check === undefined) return undefined;
    return isSecure ? findTlsFault(socket, demand.check, nowMs) : 'it is not in use';
  };
  const fault = findFault();
  if (fault !== undefined && demand.isObserved !== true) {
    return { state: 'refused', outcome: tlsReport(partner, demand.source, fault) };
  }
  // A session that is taken up again counts as judged.
  if (isSecure && fault === undefined) {
    const ticket = socket.getSession();
    if (ticket !== undefined) onTicket(ticket);
    socket.on('session', onTicket);
  }
  return fault;
}

/** Logs in, and calls back with what is wrong, if anything. */
function logIn(
  connection: SMTPConnection,
  { partner, demand }: SmtpSessionSettings,
  { user, password, inClear }: SmtpLogin,
  done: (fault: OpenedSession | undefined) => void,
): void {
  const refuse = (fault: string, reply: string) =>
    done({ state: 'refused', isForAll: true, outcome: loginReport(partner, fault, reply) });
  const isGuarded = demand.use === 'demanded' && connection.secure;
  if (!isGuarded && !inClear && !isLoopback(partner)) {
    refuse('the password is sent with TLS that is demanded only', '');
  } else if (!connection.allowsAuth) refuse('it does not offer that', '');
  else {
    connection.login({ credentials: { user, pass: password } }, (failure) =>
      failure ? refuse('', replyOf(failure)) : done(undefined),
    );
  }
}

function tlsFailure(failure: SmtpFailure): OpenedSession {
  const reply = replyOf(failure).trim();
  return { state: 'tls-failed', fault: reply === '' ? (failure.message ?? '') : `it said ${reply}` };
}

const NO_MAIL_HERE = 521;

function openFailure(failure: SmtpFailure, { partner, demand }: SmtpSessionSettings): OpenedSession {
  const { command = '', responseCode = 0 } = failure;
  const reply = replyOf(failure);
  if (reply === '') return { state: 'refused', outcome: diedReport(partner, false) };
  if (responseCode === NO_MAIL_HERE) return { state: 'refused', outcome: noMailReport(partner, reply) };
  const isName = command === 'EHLO' || command === 'HELO' || command === 'LHLO';
  if (isName && demand.use === 'demanded' && responseCode >= 500) {
    return { state: 'tls-failed', fault: 'it does not know EHLO' };
  }
  return {
    state: 'refused',
    outcome: refusalReport(partner, isName ? 'name' : 'greeting', responseCode, reply),
  };
}
