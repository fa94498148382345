// One SMTP or LMTP session as a client, on nodemailer's connection: from the greeting on, any number of messages one after another.
// Knows the package's habits, so that nobody else has to: it changes the envelope it is given, reports some failures by
// event and some by callback, and turns text to UTF-8.
//
// Line ends on the wire follow one rule: CR LF, LF and CR each end a line and are sent as CR LF; a dot at the beginning of a
// line, whatever ended the line before, is doubled; the last line is ended if it was not. So the end of the message
// occurs once, wherever the receiver looks for it (RFC 5321 section 4.5.2).
// Differs: qmail-remote refuses a message whose last line has no end.

import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import SMTPConnection, { type SMTPConnectionEnvelope } from 'nodemailer/lib/smtp-connection';
import type { Outcome } from '../core/policy/outcome.ts';
import type { RelayProtocol } from '../core/policy/route.ts';
import {
  acceptedReport,
  diedReport,
  loginReport,
  noMailReport,
  noUtf8Report,
  recipientReport,
  refusalReport,
  tlsReport,
  tooLargeReport,
} from '../core/policy/smtp-report.ts';
import type { SmtpLogin } from './smtp-logins.ts';
import { findTlsFault, type TlsDemand, tlsContextFor } from './tls-check.ts';
import { isLoopback } from './tls-policy.ts';
import type { Via } from './transport.ts';

const REPLY_BYTES_MAX = 65_536;
const ASCII = /^[\0-\x7f]*$/;

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

/** A message whose addresses are fit to be sent, see envelope-address.ts. */
export interface SmtpMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly body: Uint8Array;
}

/** What became of a message. */
export interface SmtpResult {
  /** In the order of the recipients. */
  readonly outcomes: Outcome[];
  /** Whether the partner left before it could have taken anything: the same may be tried on another connection. */
  readonly unsent: boolean;
  /** Whether {@link SmtpSession.reset} is due before the next message. */
  readonly resetNeeded: boolean;
}

/** What nodemailer says of a failure. */
interface SmtpFailure {
  readonly code?: string | undefined;
  readonly command?: string | undefined;
  readonly response?: string | undefined;
  readonly responseCode?: number | undefined;
  readonly message?: string;
}

/** What nodemailer's connection has and its types do not show. */
interface Inside {
  readonly _socket?: unknown;
  readonly _supportedExtensions: readonly string[];
  /** Replies that wait to be looked at. */
  readonly _responseQueue: readonly string[];
  /** From STARTTLS on until its handshake begins. */
  readonly _plaintextEhlo?: string | false;
  /** Called for the reply that an LMTP server gives for one recipient behind the message. */
  _actionLMTPStream: (
    recipient: string,
    final: boolean,
    reply: string,
    done: (error: null, reply: string) => void,
  ) => void;
}

function insideOf(connection: SMTPConnection): Inside {
  return connection as unknown as Inside;
}

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
        resolve({ state: 'open', session: new SmtpSession(connection, partner), fault: judged });
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

/** An open session, see {@link openSmtpSession}. One message at a time. */
export class SmtpSession {
  readonly #connection: SMTPConnection;
  readonly #partner: string;

  constructor(connection: SMTPConnection, partner: string) {
    this.#connection = connection;
    this.#partner = partner;
  }

  /** The partner, and how it is spoken to. */
  get via(): Via {
    const { _socket: socket } = insideOf(this.#connection);
    const tls = socket instanceof TLSSocket ? (socket.getProtocol() ?? undefined) : undefined;
    return { host: this.#partner, tls };
  }

  /** Whether another message can be sent. */
  get usable(): boolean {
    return !this.#connection.destroyed;
  }

  /** Sends a message in one transaction. */
  async send(message: SmtpMessage): Promise<SmtpResult> {
    const unfit = this.#findUnfit(message);
    if (unfit.length === 0) return this.#send(message);
    const refusal = noUtf8Report(this.#partner);
    const fit = message.recipients.filter((recipient) => !unfit.includes(recipient));
    const sent: SmtpResult =
      fit.length === 0
        ? { outcomes: [], unsent: false, resetNeeded: false }
        : await this.#send({ ...message, recipients: fit });
    const outcomes = sent.outcomes.values();
    return {
      ...sent,
      outcomes: message.recipients.map((recipient) =>
        unfit.includes(recipient) ? refusal : outcomes.next().value!,
      ),
    };
  }

  /** The recipients that need SMTPUTF8 when the partner does not have it: all of them if the sender needs it. */
  #findUnfit({ sender, recipients }: SmtpMessage): readonly string[] {
    const isWide = (address: string) => !ASCII.test(address);
    const wide = isWide(sender) ? recipients : recipients.filter(isWide);
    if (wide.length === 0) return wide;
    return insideOf(this.#connection)._supportedExtensions.includes('SMTPUTF8') ? [] : wide;
  }

  async #send(message: SmtpMessage): Promise<SmtpResult> {
    const { size, eightBit } = measure(message.body);
    // A new object each time: the connection keeps its bookkeeping in it, which is read here afterwards.
    const envelope = { from: message.sender, to: [...message.recipients], size, use8BitMime: eightBit };
    const replies = this.#collectLmtpReplies();
    let body!: MessageBody;
    const { failure, reply } = await new Promise<{ failure?: SmtpFailure; reply: string }>((resolve) => {
      body = new MessageBody(message.body, () => {
        const isAhead = insideOf(this.#connection)._responseQueue.length > 0;
        if (!isAhead) return true;
        this.#connection.close();
        resolve({ failure: {}, reply: '' });
        return false;
      });
      this.#connection.send(envelope, body as unknown as Readable, (error, info) => {
        if (error) resolve({ failure: error, reply: '' });
        else resolve({ reply: info.response });
      });
    });
    if (failure === undefined) {
      const accepted = acceptedReport(this.#partner, latin1(reply));
      return {
        outcomes: this.#outcomes(message, envelope, accepted, replies),
        unsent: false,
        resetNeeded: false,
      };
    }
    const outcome = this.#judge(failure, body.endSent);
    const refused = failure.command === 'MAIL FROM' ? undefined : envelope;
    const unsent = !body.endSent && (replyOf(failure) === '' || failure.responseCode === 421) && !this.usable;
    return { outcomes: this.#outcomes(message, refused, outcome, replies), unsent, resetNeeded: true };
  }

  /**
   * With LMTP each accepted recipient has a reply of its own behind the message, in their order. Taken from the connection
   * here: it would tell one of the replies only, and none if it is lost between them.
   */
  #collectLmtpReplies(): string[] {
    const replies: string[] = [];
    insideOf(this.#connection)._actionLMTPStream = (_recipient, final, reply, done) => {
      replies.push(latin1(reply));
      if (final) done(null, reply);
    };
    return replies;
  }

  /** Says goodbye and closes, without waiting for an answer. */
  quit(): void {
    if (this.usable) this.#connection.quit();
    this.#connection.close();
  }

  #judge(failure: SmtpFailure, endSent: boolean): Outcome {
    const { code, command, responseCode = 0 } = failure;
    const reply = replyOf(failure);
    if (code === 'EMESSAGE' && command === 'MAIL FROM') return tooLargeReport(this.#partner);
    if (reply !== '' && code === 'EENVELOPE' && command === 'MAIL FROM')
      return refusalReport(this.#partner, 'sender', responseCode, reply);
    if (reply !== '' && code === 'EENVELOPE' && command === 'DATA')
      return refusalReport(this.#partner, 'data', responseCode, reply);
    if (reply !== '' && code === 'EMESSAGE' && command === 'DATA')
      return refusalReport(this.#partner, 'message', responseCode, reply);
    return diedReport(this.#partner, endSent);
  }

  /** The recipients' own refusals, then the replies to the message as far as there are several, and `outcome` for the others. */
  #outcomes(
    message: SmtpMessage,
    envelope: object | undefined,
    outcome: Outcome,
    replies: readonly string[],
  ): Outcome[] {
    const refusals = new Map<string, Outcome[]>();
    for (const failure of (envelope as Partial<SMTPConnectionEnvelope> | undefined)?.rejectedErrors ?? []) {
      const refusal = recipientReport(this.#partner, failure.responseCode ?? 0, replyOf(failure));
      const recipient = failure.recipient ?? '';
      refusals.set(recipient, [...(refusals.get(recipient) ?? []), refusal]);
    }
    const own = replies.values();
    return message.recipients.map((recipient) => {
      const refusal = refusals.get(recipient)?.shift();
      if (refusal !== undefined) return refusal;
      const reply = own.next();
      return reply.done === true ? outcome : this.#outcomeOfReply(reply.value);
    });
  }

  #outcomeOfReply(reply: string): Outcome {
    if (reply.startsWith('2')) return acceptedReport(this.#partner, reply);
    return refusalReport(this.#partner, 'message', codeOf(reply), reply);
  }

  /** Ends a transaction that may be open; closes the connection if the partner does not agree. */
  reset(): Promise<void> {
    if (!this.usable) return Promise.resolve();
    return new Promise((resolve) => {
      const connection = this.#connection;
      connection.once('end', resolve);
      connection.reset((error) => {
        connection.off('end', resolve);
        if (error) connection.close();
        resolve();
      });
    });
  }
}

/**
 * The message as what the connection takes for a stream: it asks for the bytes, by `pipe`, when the partner is ready
 * for them. That, and the end of the stream they go to, is how we know whether the message's end is on its way.
 */
class MessageBody {
  readonly #bytes: Uint8Array;
  readonly #isExpected: () => boolean;
  endSent = false;

  /** @param isExpected whether the partner may have the message: not if it has answered more than it was asked */
  constructor(bytes: Uint8Array, isExpected: () => boolean) {
    this.#bytes = bytes;
    this.#isExpected = isExpected;
  }

  pipe(wire: NodeJS.WritableStream): void {
    if (!this.#isExpected()) return;
    wire.once('end', () => {
      this.endSent = true;
    });
    wire.write(this.#bytes);
    wire.end();
  }
}

/** Size with CR LF line ends (roughly, for the SIZE parameter), and whether there are bytes from 128 on. */
function measure(body: Uint8Array): { size: number; eightBit: boolean } {
  let size = body.length;
  let eightBit = false;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]!;
    if (byte === 10) size++;
    else if (byte > 127) eightBit = true;
  }
  return { size, eightBit };
}

/** The code that a reply begins with, 0 without. */
function codeOf(reply: string): number {
  return /^\d{3}/.test(reply) ? Number(reply.slice(0, 3)) : 0;
}

function replyOf(failure: SmtpFailure): string {
  return latin1(failure.response || '');
}

/** Text that the connection made of bytes, as one character per byte again (UTF-8). */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
