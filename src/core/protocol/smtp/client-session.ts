// An SMTP session as a client, as qmail-remote holds it: HELO, one command at a time, one message, QUIT without waiting
// for its answer. Bytes in, bytes and reports out. Invariants: no command holds a CR, LF or NUL of an address; CR and LF go
// out only together, and CR LF . CR LF once, at the end of a whole message; there is one message report, the last one.
// Source: the qmail-remote manual page. Differs: a connection that is lost after the last answer changes nothing, for the
// answer is known; bare CRs of a message become line ends, as smuggled commands hide behind them.

import { bytesOf, concatBytes, findByte, textOf } from '../../bytes/bytes.ts';
import { domainOf } from '../../format/domain-map.ts';
import { quoteAddress } from '../../message/quote.ts';
import {
  acceptedReport,
  diedReport,
  givingUpReport,
  type RefusedStep,
  recipientRefusal,
  refusalReport,
  UNSENDABLE_ADDRESS,
  UNSENDABLE_SENDER,
} from '../../policy/smtp-report.ts';
import { ReplyReader, type ServerReply } from './reply-reader.ts';
import { WireText } from './wire-text.ts';

/** What is to be sent, and to whom. */
export interface SmtpClientOptions {
  /** What we call ourselves. */
  readonly heloName: Uint8Array;
  /** Address of the partner, for reports. */
  readonly partner: string;
  /** Envelope addresses as plain bytes; the empty sender is the null sender. */
  readonly sender: Uint8Array;
  readonly recipients: readonly Uint8Array[];
}

/** What the session waits for; `closed` means that the connection is to be closed once the output is written. */
export type SmtpClientNeed = 'need-input' | 'need-message' | 'closed';

/** What the partner was asked, `message` being the one that was sent; or what is done besides. */
type Phase = RefusedStep | 'recipient' | 'sending' | 'over';

const PARTIAL_LINE = 'DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n';
const UNREADABLE = 'ZUnable to read message. (#4.3.0)\n';

/**
 * Reports without a session, because an address cannot be sent and nobody is left to send to; undefined if there is
 * something to do.
 */
export function reportUnsendable(
  options: Pick<SmtpClientOptions, 'sender' | 'recipients'>,
): string[] | undefined {
  if (formatAddress(options.sender) === undefined) return [`D${UNSENDABLE_SENDER.text}`];
  for (let i = 0; i < options.recipients.length; i++)
    if (formatAddress(options.recipients[i]!) !== undefined) return undefined;
  const { text } = UNSENDABLE_ADDRESS;
  return options.recipients.map(() => `h${text}`).concat(`D${text}`);
}

/** One session; see the head of this file. */
export class SmtpClientSession {
  readonly #options: SmtpClientOptions;
  readonly #reader = new ReplyReader();
  readonly #wireText = new WireText(true);
  readonly #reports: string[] = [];
  #phase: Phase = 'greeting';
  #input: Uint8Array = new Uint8Array(0);
  #isEnded = false;
  #output: Uint8Array[] = [];
  /** The piece of the message that came last: it is not sent before it is known that its last line is whole. */
  #held: Uint8Array | undefined;
  #recipient = 0;
  #hasRecipient = false;

  constructor(options: SmtpClientOptions) {
    this.#options = options;
  }

  /** Reports so far, without their NULs: one per recipient that was asked about, then that of the message. */
  get reports(): readonly string[] {
    return this.#reports;
  }

  /** What the server sends. */
  receive(bytes: Uint8Array): void {
    this.#input = this.#input.length === 0 ? bytes : concatBytes([this.#input, bytes]);
  }

  /** The connection is lost, or took too long. */
  receiveEnd(): void {
    this.#isEnded = true;
  }

  /** What to do next. */
  next(): SmtpClientNeed {
    while (this.#phase !== 'over' && this.#phase !== 'sending' && this.#input.length > 0) {
      const { taken, reply } = this.#reader.receive(this.#input);
      this.#input = this.#input.subarray(taken);
      if (reply === 'endless') this.#die();
      else if (reply !== undefined) this.#onReply(reply);
    }
    if (this.#isEnded && this.#phase !== 'over') this.#die();
    if (this.#phase === 'over') return 'closed';
    return this.#phase === 'sending' ? 'need-message' : 'need-input';
  }

  /** The next piece of the message; after `need-message`. */
  sendMessage(piece: Uint8Array): void {
    if (this.#held !== undefined) this.#output.push(this.#held);
    this.#held = this.#wireText.encode(piece);
  }

  /** The message is complete. */
  endMessage(): void {
    if (this.#wireText.isLineOpen) {
      this.#close(PARTIAL_LINE);
      return;
    }
    if (this.#held !== undefined) this.#output.push(this.#held);
    this.#say('.');
    this.#phase = 'message';
  }

  /** The message cannot be read to its end. */
  failMessage(): void {
    this.#close(UNREADABLE);
  }

  /** Bytes to write, in order. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #onReply({ code, text }: ServerReply): void {
    // Bytes below the digits make a number that the original takes for a very large one.
    const value = code < 0 ? 999 : code;
    const { partner } = this.#options;
    const phase = this.#phase;
    if (phase === 'sending' || phase === 'over') return;
    if (phase === 'recipient') {
      if (value < 400) this.#hasRecipient = true;
      this.#reports.push(value < 400 ? 'r' : recipientRefusal(partner, value, text));
      this.#recipient++;
      this.#askNextRecipient();
    } else if (isRefusal(phase, value)) this.#quit(refusalReport(partner, phase, value, text));
    else this.#goOn(phase, text);
  }

  /** The partner agreed to a step; what comes behind it. */
  #goOn(step: RefusedStep, text: string): void {
    const { partner, heloName, sender } = this.#options;
    switch (step) {
      case 'greeting':
        this.#ask('name', `HELO ${textOf(heloName)}`);
        break;
      case 'name':
        this.#ask('sender', `MAIL FROM:<${formatAddress(sender)}>`);
        break;
      case 'sender':
        this.#askNextRecipient();
        break;
      case 'data':
        this.#phase = 'sending';
        break;
      case 'message':
        this.#quit(acceptedReport(partner, text));
        break;
    }
  }

  #askNextRecipient(): void {
    const { recipients, partner } = this.#options;
    for (; this.#recipient < recipients.length; this.#recipient++) {
      const address = formatAddress(recipients[this.#recipient]!);
      if (address !== undefined) {
        this.#ask('recipient', `RCPT TO:<${address}>`);
        return;
      }
      this.#reports.push(`h${UNSENDABLE_ADDRESS.text}`);
    }
    if (this.#hasRecipient) this.#ask('data', 'DATA');
    else this.#quit(givingUpReport(partner));
  }

  #ask(phase: Phase, line: string): void {
    this.#phase = phase;
    this.#say(line);
  }

  #say(line: string): void {
    this.#output.push(bytesOf(`${line}\r\n`));
  }

  #quit({ letter, text }: { readonly letter: string; readonly text: string }): void {
    this.#say('QUIT');
    this.#close(letter + text);
  }

  #die(): void {
    const { letter, text } = diedReport(this.#options.partner, this.#phase === 'message');
    this.#close(letter + text);
  }

  #close(report: string): void {
    this.#reports.push(report);
    this.#phase = 'over';
  }
}

/** Whether a reply to a step says no: greeting and name want their codes, all else what is below 400. */
function isRefusal(step: RefusedStep, code: number): boolean {
  if (step === 'greeting') return code !== 220;
  if (step === 'name') return code !== 250;
  return code >= 400;
}

/** The address between `<` and `>`, one character per byte; undefined if it would break the command's line. */
function formatAddress(address: Uint8Array): string | undefined {
  const [NUL, LF, CR] = [0, 10, 13];
  if (findByte(address, NUL) >= 0 || findByte(address, LF) >= 0 || findByte(address, CR) >= 0)
    return undefined;
  return textOf(domainOf(address) === undefined ? address : quoteAddress(address));
}
