// The decisions of qmail-inject: what becomes of each header field, who gets the message, who it is from, and which
// fields are added. Fields go in one by one, the new header and the envelope come out; reading, files, time and the
// queue program are the caller's. Once something could not be parsed `failure` says so and nothing may be sent.
// Source: the qmail-inject and qmail-header manual pages.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { copyBytes, untilNul } from '../bytes/bytes.ts';
import { AddressListRewriter, type RewriteOne } from './address-list.ts';
import { formatDate, formatStamp } from './date.ts';
import { Followup } from './followup.ts';
import { type FieldName, fieldName } from './header-field.ts';
import {
  type InjectFailure,
  type InjectSettings,
  unparsableAddress,
  unparsableLine,
} from './inject-settings.ts';
import { appendSender, defaultSender, generateFrom } from './inject-user.ts';
import { printTokens } from './print-tokens.ts';
import { quoteAddress } from './quote.ts';
import { rewriteAddress } from './rewrite-address.ts';
import { appendEnvelopeForm, parseTokens, TokenList } from './tokens.ts';

const SENDER_MARK = 70;
const RECIPIENT_MARK = 84;

/** One message on its way from a user's text to header and envelope. */
export class Injection {
  readonly #settings: InjectSettings;
  readonly #seen: { [name in FieldName]?: boolean } = {};
  /** Kept fields in order. */
  readonly #kept = new ByteBuffer(1024);
  readonly #argumentRecipients = new ByteBuffer(64);
  readonly #recipients = new ByteBuffer(64);
  readonly #resentRecipients = new ByteBuffer(64);
  readonly #followup: Followup | undefined;
  readonly #tokens = new TokenList();
  readonly #rewriter = new AddressListRewriter();
  #sender: Uint8Array | undefined;
  #failure: InjectFailure | undefined;

  constructor(settings: InjectSettings) {
    this.#settings = settings;
    this.#followup = settings.followupLists && new Followup(settings.followupLists);
  }

  /** Why the message cannot be taken, as soon as that is known. */
  get failure(): InjectFailure | undefined {
    return this.#failure;
  }

  /** Takes the argument of -f; the last one counts. */
  setSender(text: Uint8Array): void {
    const address = this.#argumentAddress(text);
    if (address === undefined) {
      this.#failure ??= unparsableLine(quoteAddress(text));
    } else {
      const sender = new ByteBuffer(64);
      appendEnvelopeForm(sender, address);
      this.#sender = sender.view();
    }
  }

  /** Takes a recipient argument. */
  addRecipient(text: Uint8Array): void {
    const address = this.#argumentAddress(text);
    if (address === undefined) this.#failure ??= unparsableAddress(text);
    else appendRecipient(this.#argumentRecipients, address);
  }

  /** Takes a header field with its final LF. */
  onField(field: Uint8Array): void {
    if (this.#failure !== undefined) return;
    const name = fieldName(field);
    if (name === undefined) {
      this.#kept.append(field);
      return;
    }
    if (this.#isDropped(name)) return;
    this.#seen[name] = true;
    switch (name) {
      case 'content-length':
        break;
      case 'date':
      case 'message-id':
      case 'resent-date':
      case 'resent-message-id':
      case 'mail-followup-to':
        this.#kept.append(field);
        break;
      default:
        this.#onAddressField(name, field);
    }
  }

  /**
   * Ends the header: settles the sender and returns the new header, generated fields first. Undefined on failure.
   * Call it once, after the last field.
   */
  finishHeader(): Uint8Array | undefined {
    const { user, defaults, nowMs, pid } = this.#settings;
    if (this.#failure !== undefined) return undefined;
    if (this.#sender === undefined) {
      const sender = defaultSender(user, defaults, `${Math.floor(nowMs / 1000)}.${pid}`);
      if (isFailure(sender)) return this.#fail(sender);
      this.#sender = sender;
    }
    const header = new ByteBuffer(this.#kept.length + 512);
    if (!this.#appendGenerated(header)) return undefined;
    header.append(this.#kept.view());
    return header.view();
  }

  /** The envelope sender; valid after {@link finishHeader}. */
  get sender(): Uint8Array {
    return this.#sender ?? new Uint8Array(0);
  }

  /** The envelope for a queue program: F sender NUL, T recipient NUL for each, NUL; valid after {@link finishHeader}. */
  envelope(): Uint8Array {
    const header = this.#isResent() ? this.#resentRecipients : this.#recipients;
    const source = this.#settings.recipientSource;
    const envelope = new ByteBuffer(this.sender.length + this.#argumentRecipients.length + header.length + 3);
    envelope.appendByte(SENDER_MARK);
    envelope.append(this.sender);
    envelope.appendByte(0);
    if (source !== 'header') envelope.append(this.#argumentRecipients.view());
    if (source !== 'arguments') envelope.append(header.view());
    envelope.appendByte(0);
    return envelope.view();
  }

  #fail(failure: InjectFailure): undefined {
    this.#failure ??= failure;
  }

  #argumentAddress(text: Uint8Array): TokenList | undefined {
    const tokens = parseTokens(quoteAddress(text));
    if (tokens === undefined) return undefined;
    const address = new TokenList();
    rewriteAddress(tokens, this.#settings.defaults, address);
    return address;
  }

  #isDropped(name: FieldName): boolean {
    const { user } = this.#settings;
    if (name === 'from') return user.dropFrom;
    if (name === 'message-id') return user.dropMessageId;
    return name === 'return-path' && user.dropReturnPath;
  }

  #onAddressField(name: FieldName, field: Uint8Array): void {
    const tokens = parseTokens(field, this.#tokens);
    if (tokens === undefined || !this.#rewriter.rewrite(tokens, this.#rewriteOne(name))) {
      this.#failure = unparsableLine(copyBytes(field));
    } else if (name !== 'return-path' && name !== 'bcc' && name !== 'resent-bcc') {
      printTokens(this.#kept, this.#rewriter.output, true);
    }
  }

  /** Completes an address of that field, and uses it as the field is there for. */
  #rewriteOne(name: FieldName): RewriteOne {
    const { defaults, recipientSource } = this.#settings;
    const recipients = recipientSource === 'arguments' ? undefined : this.#recipientsOf(name);
    const followup = name === 'to' || name === 'cc' ? this.#followup : undefined;
    return (address, result) => {
      rewriteAddress(address, defaults, result);
      if (recipients !== undefined) appendRecipient(recipients, result);
      followup?.note(result);
      if (name === 'return-path' && this.#sender === undefined) {
        const sender = new ByteBuffer(64);
        appendSender(sender, result, this.#settings.user);
        this.#sender = sender.view();
      }
    };
  }

  #recipientsOf(name: FieldName): ByteBuffer | undefined {
    switch (name) {
      case 'to':
      case 'cc':
      case 'bcc':
      case 'apparently-to':
        return this.#recipients;
      case 'resent-to':
      case 'resent-cc':
      case 'resent-bcc':
        return this.#resentRecipients;
      default:
        return undefined;
    }
  }

  #isResent(): boolean {
    const seen = this.#seen;
    return (
      seen['resent-sender'] === true ||
      seen['resent-from'] === true ||
      seen['resent-reply-to'] === true ||
      seen['resent-to'] === true ||
      seen['resent-cc'] === true ||
      seen['resent-bcc'] === true ||
      seen['resent-date'] === true ||
      seen['resent-message-id'] === true
    );
  }

  /** Appends the fields that the message lacks; false on failure. */
  #appendGenerated(header: ByteBuffer): boolean {
    const { user, defaults, idHost, nowMs, pid } = this.#settings;
    const seen = this.#seen;
    const isResent = this.#isResent();
    const prefix = isResent ? 'Resent-' : '';
    if (!seen[isResent ? 'resent-date' : 'date']) header.appendText(`${prefix}Date: ${formatDate(nowMs)}\n`);
    if (!seen[isResent ? 'resent-message-id' : 'message-id']) {
      header.appendText(`${prefix}Message-ID: <${formatStamp(nowMs)}.${pid}.qmail@`);
      header.append(untilNul(idHost));
      header.appendText('>\n');
    }
    if (!seen[isResent ? 'resent-from' : 'from']) {
      const from = generateFrom(isResent ? 'Resent-From' : 'From', user, defaults);
      if (isFailure(from)) {
        this.#failure = from;
        return false;
      }
      header.append(from);
    }
    const hasVisible = isResent ? seen['resent-to'] || seen['resent-cc'] : seen.to || seen.cc;
    if (!hasVisible) header.appendText(`${prefix}Cc: recipient list not shown: ;\n`);
    if (!isResent && !seen['mail-followup-to']) this.#followup?.appendField(header);
    return true;
  }
}

function isFailure(value: Uint8Array | InjectFailure): value is InjectFailure {
  return 'exit' in value;
}

function appendRecipient(target: ByteBuffer, address: TokenList): void {
  target.appendByte(RECIPIENT_MARK);
  appendEnvelopeForm(target, address);
  target.appendByte(0);
}
