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
import type { FieldFate, GeneratedField, SenderOrigin } from './inject-observer.ts';
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
    const address = new TokenList();
    const completed = this.#completeArgument(text, address);
    if (completed === undefined) {
      this.#failure ??= unparsableLine(quoteAddress(text));
    } else {
      const sender = new ByteBuffer(64);
      appendEnvelopeForm(sender, address);
      this.#settle(sender.view(), 'option -f', completed);
    }
  }

  /** Takes a recipient argument. */
  addRecipient(text: Uint8Array): void {
    const address = new TokenList();
    const completed = this.#completeArgument(text, address);
    if (completed === undefined) this.#failure ??= unparsableAddress(text);
    else this.#addTo(this.#argumentRecipients, address, undefined, completed);
  }

  /** Takes a header field with its final LF. */
  onField(field: Uint8Array): void {
    if (this.#failure !== undefined) return;
    const name = fieldName(field);
    if (name === undefined) {
      this.#kept.append(field);
      return;
    }
    if (this.#isDropped(name)) {
      this.#tell(name, 'removed');
      return;
    }
    this.#seen[name] = true;
    switch (name) {
      case 'content-length':
        this.#tell(name, 'removed');
        break;
      case 'date':
      case 'message-id':
      case 'resent-date':
      case 'resent-message-id':
      case 'mail-followup-to':
        this.#kept.append(field);
        this.#tell(name, 'kept');
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
      let completed = 0;
      const unique = `${Math.floor(nowMs / 1000)}.${pid}`;
      const sender = defaultSender(user, defaults, unique, (added) => {
        completed = added;
      });
      if (isFailure(sender)) return this.#fail(sender);
      this.#settle(sender, 'user', completed);
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

  /** Puts an argument's address in full into `address`; what was added, or undefined if it cannot be parsed. */
  #completeArgument(text: Uint8Array, address: TokenList): number | undefined {
    const tokens = parseTokens(quoteAddress(text));
    return tokens && rewriteAddress(tokens, this.#settings.defaults, address);
  }

  #settle(sender: Uint8Array, origin: SenderOrigin, completed: number): void {
    this.#sender = sender;
    this.#settings.observer?.onSender(sender, origin, completed);
  }

  #tell(name: FieldName, fate: FieldFate): void {
    this.#settings.observer?.onField(name, fate);
  }

  /** Adds a recipient; the onlooker hears of it in the order of the list. */
  #addTo(list: ByteBuffer, address: TokenList, field: FieldName | undefined, completed: number): void {
    list.appendByte(RECIPIENT_MARK);
    const start = list.length;
    appendEnvelopeForm(list, address);
    this.#settings.observer?.onRecipient(list.view().subarray(start), field, completed);
    list.appendByte(0);
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
    } else if (name === 'return-path' || name === 'bcc' || name === 'resent-bcc') {
      this.#tell(name, 'used and removed');
    } else {
      printTokens(this.#kept, this.#rewriter.output, true);
      this.#tell(name, 'rewritten');
    }
  }

  /** Completes an address of that field, and uses it as the field is there for. */
  #rewriteOne(name: FieldName): RewriteOne {
    const { defaults, recipientSource } = this.#settings;
    const recipients = recipientSource === 'arguments' ? undefined : this.#recipientsOf(name);
    const followup = name === 'to' || name === 'cc' ? this.#followup : undefined;
    return (address, result) => {
      const completed = rewriteAddress(address, defaults, result);
      if (recipients !== undefined) this.#addTo(recipients, result, name, completed);
      followup?.note(result);
      if (name === 'return-path' && this.#sender === undefined) {
        const sender = new ByteBuffer(64);
        appendSender(sender, result, this.#settings.user);
        this.#settle(sender.view(), 'Return-Path', completed);
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
    const { user, defaults, idHost, nowMs, pid, observer } = this.#settings;
    const seen = this.#seen;
    const isResent = this.#isResent();
    const prefix = isResent ? 'Resent-' : '';
    observer?.onHeaderEnd(isResent);
    const added = (name: GeneratedField, completed = 0) => observer?.onGenerated(name, completed);
    if (!seen[isResent ? 'resent-date' : 'date']) {
      header.appendText(`${prefix}Date: ${formatDate(nowMs)}\n`);
      added('Date');
    }
    if (!seen[isResent ? 'resent-message-id' : 'message-id']) {
      header.appendText(`${prefix}Message-ID: <${formatStamp(nowMs)}.${pid}.qmail@`);
      header.append(untilNul(idHost));
      header.appendText('>\n');
      added('Message-ID');
    }
    if (!seen[isResent ? 'resent-from' : 'from']) {
      const from = generateFrom(isResent ? 'Resent-From' : 'From', user, defaults, (completed) => {
        added('From', completed);
      });
      if (isFailure(from)) {
        this.#failure = from;
        return false;
      }
      header.append(from);
    }
    const hasVisible = isResent ? seen['resent-to'] || seen['resent-cc'] : seen.to || seen.cc;
    if (!hasVisible) {
      header.appendText(`${prefix}Cc: recipient list not shown: ;\n`);
      added('Cc');
    }
    const length = header.length;
    if (!isResent && !seen['mail-followup-to']) this.#followup?.appendField(header);
    if (header.length > length) added('Mail-Followup-To');
    return true;
  }
}

function isFailure(value: Uint8Array | InjectFailure): value is InjectFailure {
  return 'exit' in value;
}
