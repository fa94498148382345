// The generated Mail-Followup-To field: asks for answers to go to the lists a message went to, and not to its sender.
// Source: cr.yp.to/proto/replyto.html; the qmail-inject manual page (QMAILMFTFILE).

import type { ByteBuffer } from '../bytes/byte-buffer.ts';
import { lowerCase, textOf, untilNul } from '../bytes/bytes.ts';
import { quoteAddress } from './quote.ts';

/** Collects the addresses of To and Cc, and knows whether one of them is a list of the user. */
export class Followup {
  readonly #lists: { [address: string]: true } = Object.create(null);
  readonly #addresses: Uint8Array[] = [];
  #isListAddressed = false;

  /** @param lists addresses of mailing lists; the case of letters does not matter */
  constructor(lists: readonly Uint8Array[]) {
    for (const address of lists) this.#lists[keyOf(address)] = true;
  }

  /** Takes an address of To or Cc in envelope form, which the caller leaves alone from now on. */
  note(address: Uint8Array): void {
    this.#addresses.push(address);
    if (this.#lists[keyOf(address)] === true) this.#isListAddressed = true;
  }

  /** Appends the field if a list was addressed: all addresses, those of later fields first. */
  appendField(header: ByteBuffer): void {
    if (!this.#isListAddressed) return;
    header.appendText('Mail-Followup-To: ');
    for (let i = this.#addresses.length - 1; i >= 0; i--) {
      header.append(quoteAddress(untilNul(this.#addresses[i]!)));
      if (i > 0) header.appendText(',\n  ');
    }
    header.appendText('\n');
  }
}

/** The mark keeps names apart that objects treat in a special way. */
function keyOf(address: Uint8Array): string {
  return `@${textOf(lowerCase(address))}`;
}
