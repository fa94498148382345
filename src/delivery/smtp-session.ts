// One SMTP or LMTP session as a client, on nodemailer's connection: any number of messages one after another, once
// open-smtp-session.ts has opened it.
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
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { EnvelopeDsn } from '../core/policy/notification.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { RelayProtocol } from '../core/policy/route.ts';
import {
  acceptedReport,
  diedReport,
  noUtf8Report,
  recipientReport,
  refusalReport,
  tooLargeReport,
} from '../core/policy/smtp-report.ts';
import { decodeXtext, formatRecipientDsn } from '../core/protocol/smtp/dsn-parameters.ts';
import { insideOf, latin1, replyOf, type SmtpEnvelope, type SmtpFailure } from './smtp-inside.ts';
import type { Via } from './transport.ts';

const ASCII = /^[\0-\x7f]*$/;

/** A message whose addresses are fit to be sent, see envelope-address.ts. */
export interface SmtpMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly body: Uint8Array;
  readonly dsn?: EnvelopeDsn | undefined;
}

/** What became of a message. */
export interface SmtpResult {
  /** In the order of the recipients. */
  readonly outcomes: Outcome[];
  /** Whether the partner left before it could have taken anything: the same may be tried on another connection. */
  readonly unsent: boolean;
  /** Whether {@link SmtpSession.reset} is due before the next message. */
  readonly resetNeeded: boolean;
  /** Whether the partner got {@link SmtpMessage.dsn}, and will tell the sender of successes. */
  readonly passedOn?: boolean;
  /** Those of the outcomes that say 452 to a recipient, which the next transaction may take (RFC 5321 section 4.5.3.1.10). */
  readonly tooMany?: ReadonlySet<Outcome>;
}

const TOO_MANY = 452;

/** An open session, see openSmtpSession(). One message at a time. */
export class SmtpSession {
  readonly #connection: SMTPConnection;
  readonly #partner: string;
  /** There what is accepted is delivered. */
  readonly #isLmtp: boolean;
  /** Of the message that is being sent, or was. */
  #body: MessageBody | undefined;

  constructor(connection: SMTPConnection, partner: string, protocol: RelayProtocol | undefined) {
    this.#connection = connection;
    this.#partner = partner;
    this.#isLmtp = protocol === 'lmtp';
    const socket = insideOf(connection)._socket as Socket;
    for (const event of ['error', 'end', 'close'])
      socket.prependListener(event, () => this.#takeLastReplies());
  }

  /**
   * Has the replies looked at that came before the end of the connection: the package looks at one in each turn of the event
   * loop, and at none once the end is there. Those to recipients only: after the one to DATA it would send the message.
   */
  #takeLastReplies(): void {
    const inside = insideOf(this.#connection);
    for (let left = inside._responseQueue.length; left > 0 && this.usable; left--) {
      if (inside._recipientQueue.length === 0 && this.#body?.endSent !== true) return;
      inside._processResponse();
    }
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
    const isFit = (_: unknown, i: number) => !unfit.includes(message.recipients[i]!);
    const fit = message.recipients.filter(isFit);
    const dsn = message.dsn && { ...message.dsn, recipients: message.dsn.recipients.filter(isFit) };
    const sent: SmtpResult =
      fit.length === 0
        ? { outcomes: [], unsent: false, resetNeeded: false }
        : await this.#send({ ...message, recipients: fit, dsn });
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
    const dsn = this.#passOn(message);
    const passedOn = dsn !== undefined;
    // A new object each time: the connection keeps its bookkeeping in it, which is read here afterwards.
    const envelope = {
      ...{ from: message.sender, to: [...message.recipients], size, use8BitMime: eightBit },
      ...(dsn && { dsn }),
    };
    const replies = this.#collectLmtpReplies();
    let body!: MessageBody;
    const { failure, reply } = await new Promise<{ failure?: SmtpFailure; reply: string }>((resolve) => {
      this.#body = body = new MessageBody(message.body, () => {
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
      const tooMany = new Set<Outcome>();
      return {
        outcomes: this.#outcomes(message, envelope, accepted, replies, tooMany),
        tooMany,
        unsent: false,
        resetNeeded: false,
        passedOn,
      };
    }
    // With PIPELINING a sender's refusal comes first; what the others got, or a connection lost among them, follows from it.
    const cause = (envelope as SmtpEnvelope).mailError ?? failure;
    const outcome = this.#judge(cause, body.endSent);
    const refused = cause.command === 'MAIL FROM' ? undefined : envelope;
    const unsent = !body.endSent && (replyOf(failure) === '' || failure.responseCode === 421) && !this.usable;
    return { outcomes: this.#outcomes(message, refused, outcome, replies), unsent, resetNeeded: true };
  }

  /** Prepares the parameters by which the partner learns what the sender wants to be told; undefined if it does not take them. */
  #passOn({ dsn }: SmtpMessage): { ret?: 'FULL' | 'HDRS'; envid?: string } | undefined {
    const inside = insideOf(this.#connection);
    const isTaken = dsn !== undefined && !this.#isLmtp && inside._supportedExtensions.includes('DSN');
    const recipients = (isTaken ? dsn.recipients : []).values();
    inside._getDsnRcptToArgs = () => formatRecipientDsn(recipients.next().value ?? {});
    if (!isTaken) return undefined;
    const { ret, envid } = dsn.message ?? {};
    return {
      ...(ret && { ret: ret === 'full' ? 'FULL' : 'HDRS' }),
      ...(envid !== undefined && { envid: decodeXtext(envid) }),
    };
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
    tooMany?: Set<Outcome>,
  ): Outcome[] {
    const refusals = new Map<string, Outcome[]>();
    for (const failure of (envelope as SmtpEnvelope | undefined)?.rejectedErrors ?? []) {
      const refusal = recipientReport(this.#partner, failure.responseCode ?? 0, replyOf(failure));
      if (failure.responseCode === TOO_MANY) tooMany?.add(refusal);
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
