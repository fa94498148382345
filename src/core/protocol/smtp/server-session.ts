// The server side of SMTP without I/O: commands and messages in, replies and events out. All transitions are in this file.
// By LMTP it is the same with LHLO, and a reply for each recipient at the end of a message (RFC 2033).
// Invariant: one end of data, CR LF . CR LF; nothing that a client sent in clear before TLS is obeyed after it; and memory is
// bounded whatever the client sends: one command line, one block of recipients, one piece of a message, one buffer of replies.
// As lenient as qmail-smtpd: no greeting is asked for, parameters are ignored, any command may come at any time; what is
// beyond is in SmtpExtensions. Source: the qmail-smtpd manual page; RFC 5321; RFC 3207 (STARTTLS).

import { ByteBuffer } from '../../bytes/byte-buffer.ts';
import { concatBytes, textOf } from '../../bytes/bytes.ts';
import { hasHighByte, isUtf8 } from '../../bytes/utf8.ts';
import type { EnvelopeDsn, RecipientDsn } from '../../policy/notification.ts';
import {
  type AddressArgument,
  type Ipv4Address,
  parseAddressArgument,
  replaceLocalLiteral,
} from './address-argument.ts';
import { CommandReader, type SmtpCommand } from './command-reader.ts';
import { DataDecoder } from './data-decoder.ts';
import { readMailParameters, readRecipientParameters } from './mail-parameters.ts';
import { REPLIES, type SmtpReply, WORDS_OF, withCodeInFront } from './replies.ts';
import type { SmtpExtensions } from './server-extensions.ts';
import { SmtpTransaction } from './transaction.ts';

/**
 * Why a session ended without QUIT: `early-end` (the client closed), `timeout`, `bare-lf` (in a message, or strictly in a
 * command), `out-of-turn` (sent before it was the client's turn), `too-many-errors`.
 */
export type SmtpViolation = 'early-end' | 'timeout' | 'bare-lf' | 'out-of-turn' | 'too-many-errors';

/** Protocol word of a Received field (RFC 3848, RFC 6531). */
export type SmtpProtocolWord = (typeof PROTOCOL_WORDS)[keyof typeof PROTOCOL_WORDS][number];

/** By whether the message is in UTF-8 (2) and came under TLS (1). */
const PROTOCOL_WORDS = {
  smtp: ['SMTP', 'ESMTPS', 'UTF8SMTP', 'UTF8SMTPS'],
  lmtp: ['LMTP', 'LMTPS', 'UTF8LMTP', 'UTF8LMTPS'],
} as const;

/**
 * What happens in a session. `recipient`, `message-start`, `message-end` and `start-tls` ask for a decision. `data` holds a
 * view, valid until the next call of next. A `violation` is the last event; output that is there is still to be written.
 */
export type SmtpServerEvent =
  | {
      readonly type: 'recipient';
      readonly address: Uint8Array;
      readonly sender: Uint8Array;
      /** Recipients of the message that were accepted so far. */
      readonly count: number;
    }
  | {
      readonly type: 'message-start';
      /** Argument of the last HELO or EHLO; undefined before any. */
      readonly helo: string | undefined;
      readonly protocol: SmtpProtocolWord;
    }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | {
      readonly type: 'message-end';
      /** As a queue program takes it. */
      readonly envelope: Uint8Array;
      /** What the sender asked to be told, if anything. */
      readonly dsn: EnvelopeDsn | undefined;
      /** Whether the session refuses the message whatever is decided. */
      readonly isRefused: boolean;
    }
  | { readonly type: 'start-tls' }
  | { readonly type: 'violation'; readonly code: SmtpViolation; readonly where: string };

/** What a session knows of its server. */
export interface SmtpServerSettings {
  /** What follows 220, 250 and 221; characters are bytes. */
  readonly greeting: string;
  /** Bytes of a message with LF line ends; 0 for no limit. */
  readonly sizeMax: number;
  /** Whether to offer STARTTLS. */
  readonly offersTls: boolean;
  /** Whether senders may ask to be told what becomes of their messages (RFC 3461). */
  readonly offersDsn?: boolean | undefined;
  /** Whether LMTP is spoken. */
  readonly isLmtp?: boolean | undefined;
  readonly extensions: SmtpExtensions;
  /** What a literal of this host's own address in a mail address is replaced by, and which those are. */
  readonly local?: { readonly host: Uint8Array; readonly isLocal: (ip: Ipv4Address) => boolean } | undefined;
}

type Phase =
  | 'command'
  | 'recipient'
  | 'message-start'
  | 'data'
  | 'data-end'
  | 'message-end'
  | 'start-tls'
  | 'tls'
  | 'closed';
type Step = SmtpServerEvent | 'need-input' | 'need-output' | 'need-decision' | 'closed' | undefined;

const WHERE: { readonly [phase in Phase]: string } = {
  command: 'waiting for a command',
  recipient: 'judging a recipient',
  'message-start': 'starting the queue program',
  data: 'reading a message',
  'data-end': 'reading a message',
  'message-end': 'waiting for the queue',
  'start-tls': 'preparing TLS',
  tls: 'starting TLS',
  closed: 'after the end',
};

/** Addresses of this length and longer are refused. */
const ADDRESS_LENGTH_REFUSED = 900;
const STRICT_COMMAND_LENGTH_MAX = 2048;
/** Bytes of replies that may wait before they are asked to be written. */
const OUTPUT_LENGTH_MAX = 16_384;
const NOTHING = new Uint8Array(0);

/**
 * One session from the greeting, which is there at once as output, to its end. The driver calls {@link next} until it says
 * `closed`; it writes the output when that says `need-output`, before it waits for input, and at the end.
 */
export class SmtpServerSession {
  readonly #settings: SmtpServerSettings;
  readonly #words: (typeof WORDS_OF)['netqmail' | 'notqmail'];
  readonly #reader: CommandReader;
  #phase: Phase = 'command';
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  #isEnded = false;
  #output: ByteBuffer | undefined;
  #helo: string | undefined;
  #transaction: SmtpTransaction | undefined;
  /** Of the recipient that is being judged. */
  #recipientDsn: RecipientDsn | undefined;
  #decoder: DataDecoder | undefined;
  #isDecisionOpen = false;
  #isSecure = false;
  #errorCount = 0;

  constructor(settings: SmtpServerSettings) {
    this.#settings = settings;
    const { strict, notqmail, commandLengthMax } = settings.extensions;
    this.#words = notqmail ? WORDS_OF.notqmail : WORDS_OF.netqmail;
    this.#reader = new CommandReader(
      strict ? Math.min(STRICT_COMMAND_LENGTH_MAX, commandLengthMax) : commandLengthMax,
    );
    this.#reply({ code: 220, text: `${settings.greeting} ${settings.isLmtp ? 'LMTP' : 'ESMTP'}` });
  }

  /** The phase in words, to follow "while" or a reason. */
  get where(): string {
    return WHERE[this.#phase];
  }

  /** Takes bytes from the client; they must stay unchanged until the next `need-input`. */
  receive(bytes: Uint8Array): void {
    const isEmpty = this.#at === this.#bytes.length;
    this.#bytes = isEmpty ? bytes : concatBytes([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** Tells that the client will send nothing more. */
  receiveEnd(): void {
    this.#isEnded = true;
  }

  /** Tells that the client took too long; gives the last event, with a reply, unless the session is over. */
  timeout(): SmtpServerEvent | 'closed' {
    return this.#phase === 'closed' ? 'closed' : this.#violate('timeout', REPLIES.timeout);
  }

  /** The next event, or what the session waits for. */
  next(): SmtpServerEvent | 'need-input' | 'need-output' | 'need-decision' | 'closed' {
    for (;;) {
      const step = this.#step();
      if (step !== undefined) return step;
    }
  }

  /**
   * Answers the event that asked. A code below 400 consents: to a recipient, which is then kept in the form given; to a
   * message, whose data then come; to a message that is complete; to TLS, which the driver starts once the output is
   * written, to say {@link secured} then.
   * @returns the reply that the client gets: a message may be refused by the session itself
   */
  decide(reply: SmtpReply, recipient?: Uint8Array): SmtpReply {
    if (!this.#isDecisionOpen) throw new Error(`Cannot decide while ${this.where}`);
    this.#isDecisionOpen = false;
    const isConsent = reply.code < 400;
    const phase = this.#phase;
    this.#phase = 'command';
    if (phase === 'recipient' && isConsent)
      this.#transaction?.addRecipient(recipient ?? NOTHING, this.#recipientDsn);
    if (phase === 'message-start') this.#startData(isConsent);
    if (phase === 'start-tls' && isConsent) this.#phase = 'tls';
    if (phase === 'message-end') return this.#endData(reply);
    this.#reply(reply);
    return reply;
  }

  /** Tells that the connection is encrypted from now on: all that the client said before is forgotten. */
  secured(): void {
    if (this.#phase !== 'tls') throw new Error(`Cannot be secured while ${this.where}`);
    this.#phase = 'command';
    this.#isSecure = true;
    this.#helo = undefined;
    this.#transaction = undefined;
    this.#bytes = NOTHING;
    this.#at = 0;
  }

  /** Bytes for the client; each is given once. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = undefined;
    return output === undefined ? [] : [output.view()];
  }

  #step(): Step {
    switch (this.#phase) {
      case 'command':
        return this.#readCommand();
      case 'data':
        return this.#readData();
      case 'data-end':
        return this.#onDataEnd();
      case 'recipient':
      case 'message-start':
      case 'message-end':
      case 'start-tls':
      case 'tls':
        return 'need-decision';
      case 'closed':
        return 'closed';
    }
  }

  #readCommand(): Step {
    if (this.#output !== undefined && this.#output.length > OUTPUT_LENGTH_MAX) return 'need-output';
    const { errorCountMax } = this.#settings.extensions;
    if (errorCountMax > 0 && this.#errorCount >= errorCountMax)
      return this.#violate('too-many-errors', REPLIES.tooManyErrors);
    if (this.#at === this.#bytes.length) return this.#starve();
    this.#at = this.#reader.take(this.#bytes, this.#at);
    const command = this.#reader.takeCommand();
    if (command === undefined) return undefined;
    return this.#settings.extensions.strict ? this.#obeyStrictly(command) : this.#obey(command);
  }

  /** Refuses what RFC 5321 and RFC 2920 do not allow; whether a client spoke out of turn shows only in what came with the line. */
  #obeyStrictly(command: SmtpCommand): Step {
    if (command.hasBareLf) return this.#violate('bare-lf', REPLIES.bareLfInCommand);
    if (command.isTruncated) return this.#reply(REPLIES.tooLong);
    if (command.hasNul) return this.#reply(REPLIES.nulInCommand);
    const { verb } = command;
    const endsGroup = verb === 'helo' || verb === 'ehlo' || verb === 'lhlo' || verb === 'data';
    if (endsGroup && this.#at < this.#bytes.length) return this.#violate('out-of-turn', REPLIES.outOfTurn);
    return this.#obey(command);
  }

  #obey(command: SmtpCommand): Step {
    switch (command.verb) {
      case 'helo':
      case 'ehlo':
        return this.#settings.isLmtp ? this.#reply(REPLIES.notLmtp) : this.#onHelo(command);
      case 'lhlo':
        return this.#settings.isLmtp ? this.#onHelo(command) : this.#reply(REPLIES.unimplemented);
      case 'mail':
        return this.#onMail(command);
      case 'rcpt':
        return this.#onRecipient(command);
      case 'data':
        return this.#onData();
      case 'rset':
        this.#transaction = undefined;
        return this.#reply(REPLIES.flushed);
      case 'noop':
        return this.#reply(REPLIES.ok);
      case 'vrfy':
        return this.#reply(REPLIES.verify);
      case 'help':
        return this.#reply(this.#words.help);
      case 'starttls':
        return this.#onStartTls(command);
      case 'quit':
        this.#reply({ code: 221, text: this.#settings.greeting });
        this.#phase = 'closed';
        return 'closed';
      default:
        return this.#reply(REPLIES.unimplemented);
    }
  }

  #onHelo(command: SmtpCommand): undefined {
    if (command.isTruncated) return this.#reply(REPLIES.tooLong);
    this.#transaction = undefined;
    this.#helo = textOf(command.argument);
    const { greeting } = this.#settings;
    if (command.verb === 'helo') return this.#reply({ code: 250, text: greeting });
    const lines = [greeting, 'PIPELINING'];
    const { extensions, sizeMax, offersTls, offersDsn, isLmtp } = this.#settings;
    if (isLmtp) lines.push('ENHANCEDSTATUSCODES');
    if (offersDsn) lines.push('DSN');
    if (extensions.size) lines.push(`SIZE ${sizeMax}`);
    if (extensions.smtputf8) lines.push('SMTPUTF8');
    if (offersTls && !this.#isSecure) lines.push('STARTTLS');
    for (let i = 0; i < lines.length; i++) this.#write(`250-${lines[i]!}`);
    this.#write('250 8BITMIME');
  }

  #onMail(command: SmtpCommand): undefined {
    const argument = this.#readAddress(command);
    if (argument === undefined) return this.#reply(REPLIES.syntax);
    const parameters = readMailParameters(argument.rest, this.#settings);
    const refusal = parameters.refusal ?? this.#judgeCharset(argument.address, parameters.isUtf8);
    if (refusal !== undefined) return this.#reply(refusal);
    this.#transaction = new SmtpTransaction(argument.address, parameters.isUtf8, parameters.dsn);
    return this.#reply(REPLIES.ok);
  }

  #onRecipient(command: SmtpCommand): Step {
    const transaction = this.#transaction;
    if (transaction === undefined) return this.#reply(REPLIES.mailFirst);
    const argument = this.#readAddress(command);
    if (argument === undefined) return this.#reply(REPLIES.syntax);
    const { address, rest } = argument;
    const parameters = readRecipientParameters(rest, this.#settings, transaction.isUtf8);
    const refusal = parameters.refusal ?? this.#judgeCharset(address, transaction.isUtf8);
    if (refusal !== undefined) return this.#reply(refusal);
    const { recipientCountMax } = this.#settings.extensions;
    if (!transaction.hasRoom(recipientCountMax)) return this.#reply(REPLIES.tooManyRecipients);
    this.#recipientDsn = parameters.dsn;
    const { sender, recipientCount: count } = transaction;
    return this.#ask('recipient', { type: 'recipient', address, sender, count });
  }

  #onData(): Step {
    if (this.#transaction === undefined) return this.#reply(REPLIES.mailFirst);
    if (this.#transaction.recipientCount === 0) return this.#reply(REPLIES.recipientFirst);
    const words = PROTOCOL_WORDS[this.#settings.isLmtp ? 'lmtp' : 'smtp'];
    const protocol = words[(this.#transaction.isUtf8 ? 2 : 0) + (this.#isSecure ? 1 : 0)]!;
    return this.#ask('message-start', { type: 'message-start', helo: this.#helo, protocol });
  }

  #onStartTls(command: SmtpCommand): Step {
    if (!this.#settings.offersTls) return this.#reply(REPLIES.unimplemented);
    if (command.argument.length > 0) return this.#reply(REPLIES.badParameter);
    if (this.#isSecure) return this.#reply(REPLIES.tlsAlready);
    // Whoever put that there wants it to be taken for something said under the protection of TLS.
    if (this.#at < this.#bytes.length) return this.#violate('out-of-turn', REPLIES.outOfTurn);
    return this.#ask('start-tls', { type: 'start-tls' });
  }

  #startData(isConsent: boolean): void {
    if (!isConsent) {
      this.#transaction = undefined;
      return;
    }
    const { sizeMax, extensions } = this.#settings;
    this.#decoder = new DataDecoder({ sizeMax, bareCr: extensions.bareCr });
    this.#phase = 'data';
  }

  #readData(): Step {
    if (this.#at === this.#bytes.length) return this.#starve();
    const decoder = this.#decoder!;
    const { state, next } = decoder.decode(this.#bytes, this.#at);
    this.#at = next;
    if (state === 'stray-lf') return this.#violate('bare-lf', this.#words.bareLf);
    if (state === 'end') this.#phase = 'data-end';
    const bytes = decoder.output;
    return bytes.length > 0 ? { type: 'data', bytes } : undefined;
  }

  #onDataEnd(): SmtpServerEvent {
    const transaction = this.#transaction!;
    const envelope = transaction.envelope();
    const isRefused = this.#refusal() !== undefined;
    return this.#ask('message-end', { type: 'message-end', envelope, dsn: transaction.dsn(), isRefused });
  }

  #endData(decision: SmtpReply): SmtpReply {
    const reply = this.#refusal() ?? decision;
    const count = this.#settings.isLmtp ? this.#transaction!.recipientCount : 1;
    this.#decoder = undefined;
    this.#transaction = undefined;
    for (let i = 0; i < count; i++) this.#reply(reply);
    return reply;
  }

  #refusal(): SmtpReply | undefined {
    const decoder = this.#decoder!;
    if (decoder.hasTooManyHops) return REPLIES.looping;
    if (decoder.isTooLarge) return REPLIES.tooLarge;
    return decoder.hasBareCr ? REPLIES.bareCr : undefined;
  }

  /** The address of a command; undefined if it is too long, or was when the end of the line was lost. */
  #readAddress(command: SmtpCommand): AddressArgument | undefined {
    const argument = parseAddressArgument(command.argument);
    if (command.isTruncated && !argument.isTerminated) return undefined;
    const { local } = this.#settings;
    const { address } = argument;
    const replaced = local === undefined ? address : replaceLocalLiteral(address, local.host, local.isLocal);
    return replaced.length < ADDRESS_LENGTH_REFUSED ? { ...argument, address: replaced } : undefined;
  }

  #judgeCharset(address: Uint8Array, isUtf8Message: boolean): SmtpReply | undefined {
    if (!this.#settings.extensions.smtputf8 || !hasHighByte(address)) return undefined;
    if (!isUtf8Message) return REPLIES.needsUtf8;
    return isUtf8(address) ? undefined : REPLIES.notUtf8;
  }

  #ask(phase: Phase, event: SmtpServerEvent): SmtpServerEvent {
    this.#phase = phase;
    this.#isDecisionOpen = true;
    return event;
  }

  #starve(): SmtpServerEvent | 'need-input' {
    // A client that says nothing for long costs nothing.
    this.#bytes = NOTHING;
    this.#at = 0;
    return this.#isEnded ? this.#violate('early-end') : 'need-input';
  }

  #violate(code: SmtpViolation, reply?: SmtpReply): SmtpServerEvent {
    const where = this.where;
    if (reply !== undefined) this.#reply(reply);
    this.#phase = 'closed';
    this.#transaction = undefined;
    this.#decoder = undefined;
    this.#bytes = NOTHING;
    this.#at = 0;
    return { type: 'violation', code, where };
  }

  #reply(reply: SmtpReply): undefined {
    if (reply.code >= 500) this.#errorCount++;
    const { code, text } = this.#settings.isLmtp ? withCodeInFront(reply) : reply;
    this.#write(`${code} ${text}`);
    return undefined;
  }

  #write(line: string): void {
    this.#output ??= new ByteBuffer(128);
    this.#output.appendText(line);
    this.#output.appendText('\r\n');
  }
}
