// Puts signatures before messages on their way to another transport. Invariant: mail of a domain that signs does not leave
// without a signature; while that cannot be made the mail waits.

import { concatBytes } from '../core/bytes/bytes.ts';
import type { DkimSigner, Signatures } from './dkim-signer.ts';
import type { RemoteDelivery, RemoteResult, RemoteTransport } from './transport.ts';

/** A transport that signs what it hands to another one. */
export class SigningTransport implements RemoteTransport {
  readonly #inner: RemoteTransport;
  readonly #signer: DkimSigner;

  constructor(inner: RemoteTransport, signer: DkimSigner) {
    this.#inner = inner;
    this.#signer = signer;
  }

  async deliver(delivery: RemoteDelivery): Promise<RemoteResult> {
    const { message, recipients } = delivery;
    const signatures: Signatures = await this.#signer.sign(message);
    if (!(signatures instanceof Uint8Array))
      return { outcomes: recipients.map(() => signatures), contact: 'answered' };
    if (signatures.length === 0) return this.#inner.deliver(delivery);
    return this.#inner.deliver({ ...delivery, message: concatBytes([signatures, message]) });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
