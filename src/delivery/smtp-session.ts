// One SMTP session as a client, on nodemailer's connection: from the greeting on, any number of messages one after another.
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
import {
  acceptedReport,
  diedReport,
  recipientReport,
  refusalReport,
  tooLargeReport,
} from '../core/policy/smtp-report.ts';
import type { Via } from './transport.ts';

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
  /** Whether to use STARTTLS if the partner offers it; the certificate is not verified. */
  readonly tls: boolean;
}

/** A session, or why there is none; after `tls-failed` a new connection in clear may be tried. */
export type OpenedSession =
  | { readonly state: 'open'; readonly session: SmtpSession }
  | { readonly state: 'refused'; readonly outcome: Outcome }
  | { readonly state: 'tls-failed' };

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
}

/**
 * Waits for the greeting, says who we are and starts TLS as far as wanted and offered. Takes over the socket, which
 * is connected.
 */
export function openSmtpSession(socket: Socket, settings: SmtpSessionSettings): Promise<OpenedSession> {
  const { heloName, partnerName, partner, timeoutMs } = settings;
  const connection = new SMTPConnection({
    connection: socket,
    secure: false,
    host: partnerName,
    name: heloName,
    ignoreTLS: !settings.tls,
    opportunisticTLS: true,
    tls: { rejectUnauthorized: false, minVersion: 'TLSv1.2' },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    maxResponseSize: REPLY_BYTES_MAX,
  });
  return new Promise((resolve) => {
    const fail = (failure: SmtpFailure) => {
      const inHandshake = failure.code === 'ETLS' || connection.upgrading === true;
      connection.close();
      resolve(inHandshake ? { state: 'tls-failed' } : openFailure(failure, partner));
    };
    // Stays for the session's life: an 'error' event without listener would end the process.
    connection.on('error', fail);
    connection.connect((failure) => {
      if (failure) fail(failure);
      else resolve({ state: 'open', session: new SmtpSession(connection, partner) });
    });
  });
}

function openFailure(failure: SmtpFailure, partner: string): OpenedSession {
  const { command = '', responseCode = 0 } = failure;
  const reply = replyOf(failure);
  if (reply === '') return { state: 'refused', outcome: diedReport(partner, false) };
  const step = command === 'EHLO' || command === 'HELO' ? 'name' : 'greeting';
  return { state: 'refused', outcome: refusalReport(partner, step, responseCode, reply) };
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
    const { _socket: socket } = this.#connection as unknown as { _socket?: unknown };
    const tls = socket instanceof TLSSocket ? (socket.getProtocol() ?? undefined) : undefined;
    return { host: this.#partner, tls };
  }

  /** Whether another message can be sent. */
  get usable(): boolean {
    return !this.#connection.destroyed;
  }

  /** Sends a message in one transaction. */
  async send(message: SmtpMessage): Promise<SmtpResult> {
    const { size, eightBit } = measure(message.body);
    // A new object each time: the connection keeps its bookkeeping in it, which is read here afterwards.
    const envelope = { from: message.sender, to: [...message.recipients], size, use8BitMime: eightBit };
    const body = new MessageBody(message.body);
    const { failure, reply } = await new Promise<{ failure?: SmtpFailure; reply: string }>((resolve) => {
      this.#connection.send(envelope, body as unknown as Readable, (error, info) => {
        if (error) resolve({ failure: error, reply: '' });
        else resolve({ reply: info.response });
      });
    });
    if (failure === undefined) {
      const accepted = acceptedReport(this.#partner, latin1(reply));
      return { outcomes: this.#outcomes(message, envelope, accepted), unsent: false, resetNeeded: false };
    }
    const outcome = this.#judge(failure, body.endSent);
    const refused = failure.command === 'MAIL FROM' ? undefined : envelope;
    const unsent = !body.endSent && (replyOf(failure) === '' || failure.responseCode === 421) && !this.usable;
    return { outcomes: this.#outcomes(message, refused, outcome), unsent, resetNeeded: true };
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

  /** The recipients' own refusals, and `outcome` for those who had none. */
  #outcomes(message: SmtpMessage, envelope: object | undefined, outcome: Outcome): Outcome[] {
    const refusals = new Map<string, Outcome[]>();
    for (const failure of (envelope as Partial<SMTPConnectionEnvelope> | undefined)?.rejectedErrors ?? []) {
      const refusal = recipientReport(this.#partner, failure.responseCode ?? 0, replyOf(failure));
      const recipient = failure.recipient ?? '';
      refusals.set(recipient, [...(refusals.get(recipient) ?? []), refusal]);
    }
    return message.recipients.map((recipient) => refusals.get(recipient)?.shift() ?? outcome);
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
  endSent = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  pipe(wire: NodeJS.WritableStream): void {
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

function replyOf(failure: SmtpFailure): string {
  return latin1(failure.response || '');
}

/** Text that the connection made of bytes, as one character per byte again (UTF-8). */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
