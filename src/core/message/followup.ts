// The generated Mail-Followup-To field: asks for answers to go to the lists a message went to, and not to its sender.
// Source: cr.yp.to/proto/replyto.html; the qmail-inject manual page (QMAILMFTFILE).

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { lowerCase, textOf } from '../bytes/bytes.ts';
import { quoteAddress } from './quote.ts';
import { appendEnvelopeForm, type TokenList } from './tokens.ts';

/** Collects the addresses of To and Cc, and knows whether one of them is a list of the user. */
export class Followup {
  readonly #lists: { [address: string]: true } = Object.create(null);
  /** The addresses in envelope form one after the other, and where each ends. */
  readonly #addresses = new ByteBuffer(256);
  readonly #ends: number[] = [];
  #isListAddressed = false;

  /** @param lists addresses of mailing lists; the case of letters does not matter */
  constructor(lists: readonly Uint8Array[]) {
    for (const address of lists) this.#lists[keyOf(address)] = true;
  }

  /** Takes a rewritten address of To or Cc. */
  note(address: TokenList): void {
    const start = this.#addresses.length;
    const isWhole = appendEnvelopeForm(this.#addresses, address);
    this.#ends.push(this.#addresses.length);
    // What a NUL cuts short is not the address of a list, though it may look like one now.
    if (this.#isListAddressed || !isWhole) return;
    const key = keyOf(this.#addresses.view().subarray(start));
    if (this.#lists[key] === true) this.#isListAddressed = true;
  }

  /** Appends the field if a list was addressed: all addresses, those of later fields first. */
  appendField(header: ByteBuffer): void {
    if (!this.#isListAddressed) return;
    header.appendText('Mail-Followup-To: ');
    const addresses = this.#addresses.view();
    for (let i = this.#ends.length - 1; i >= 0; i--) {
      header.append(quoteAddress(addresses.subarray(i === 0 ? 0 : this.#ends[i - 1], this.#ends[i])));
      if (i > 0) header.appendText(',\n  ');
    }
    header.appendText('\n');
  }
}

/** The mark keeps names apart that objects treat in a special way. */
function keyOf(address: Uint8Array): string {
  return `@${textOf(lowerCase(address))}`;
}
