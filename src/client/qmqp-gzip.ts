// A QMQP request as one gzip stream, for slow links: for a server whose line in the list asks for it, and no other one. The first
// byte, 0x1f, cannot begin a netstring, so a hub can tell it from a plain request on the same port.
// Invariant: the end of the stream, without which no server takes the message, is in the last chunk.
// Source: RFC 1952.

import type { Gzip } from 'node:zlib';
import { concatBytes } from '../core/bytes/bytes.ts';
import type { RequestSource } from './request-source.ts';

/** Bytes handed on at a time, once that many are there: full segments on the wire, few writes, and each within its time limit. */
const CHUNK_SIZE = 65_536;
/** Compression costs a few milliseconds where a byte costs a quarter of one: as good as zlib can, with all the memory it takes. */
const SETTINGS = { level: 9, memLevel: 9, windowBits: 15, chunkSize: CHUNK_SIZE };

/**
 * The chunks of a request, compressed. A request of any size is read as it goes out; a small one is a single chunk.
 * `next` rejects if the request's own bytes cannot be had.
 */
export function compressRequest(request: RequestSource): RequestSource {
  return new CompressedSource(request);
}

class CompressedSource implements RequestSource {
  readonly #request: RequestSource;
  // Loaded only here: no other run needs it.
  readonly #gzip: Gzip = process.getBuiltinModule('node:zlib').createGzip(SETTINGS);
  readonly #ended: Promise<void>;
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  #isEnded = false;

  constructor(request: RequestSource) {
    this.#request = request;
    this.#gzip.on('data', (piece: Uint8Array) => {
      this.#pieces.push(piece);
      this.#gathered += piece.length;
    });
    this.#ended = new Promise((resolve) => this.#gzip.on('end', resolve));
  }

  async next(): Promise<Uint8Array | undefined> {
    while (!this.#isEnded && this.#gathered < CHUNK_SIZE) await this.#compress();
    if (this.#gathered === 0) return undefined;
    const gathered = concatBytes(this.#pieces);
    const rest = gathered.subarray(CHUNK_SIZE);
    this.#pieces = [rest];
    this.#gathered = rest.length;
    return gathered.subarray(0, CHUNK_SIZE);
  }

  /** Puts the next piece of the request in, and does not return before it may change. */
  async #compress(): Promise<void> {
    const bytes = await this.#request.next();
    if (bytes === undefined) {
      this.#gzip.end();
      await this.#ended;
      this.#isEnded = true;
    } else await new Promise((resolve) => this.#gzip.write(bytes, resolve));
  }
}
