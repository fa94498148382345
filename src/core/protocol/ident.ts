// The client's side of an ident conversation: who is at the other end of a connection, according to its host.
// Source: RFC 1413; the tcpserver page of cr.yp.to/ucspi-tcp. Invariant: no more than 257 bytes are kept.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf } from '../bytes/bytes.ts';

const LF = 10;
const COLON = 58;
const INFO_MAX = 256;

/** The question about a connection, by its two ports. */
export function encodeIdentQuery(ports: { readonly remote: number; readonly local: number }): Uint8Array {
  return bytesOf(`${ports.remote} , ${ports.local}\r\n`);
}

/**
 * Reads the reply: what stands behind the third colon, without spaces, tabs and CRs, up to the end of the line. A reply with
 * fewer colons, as that of an error, says the empty text.
 */
export class IdentReply {
  readonly #info = new ByteBuffer(64);
  #colons = 0;
  #isComplete = false;

  /** Takes bytes from the server; what comes behind the end is ignored. */
  receive(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length && !this.#isComplete; i++) {
      const byte = bytes[i]!;
      if (byte === 32 || byte === 9 || byte === 13) continue;
      if (byte === LF) this.#isComplete = true;
      else if (this.#colons < 3) this.#colons += byte === COLON ? 1 : 0;
      else {
        this.#info.appendByte(byte);
        this.#isComplete = this.#info.length > INFO_MAX;
      }
    }
  }

  /** The answer as soon as it is complete. A connection that ends before has given none. */
  get info(): Uint8Array | undefined {
    return this.#isComplete ? this.#info.toBytes() : undefined;
  }
}
