// A compressed QMQP request as it comes in: one gzip stream (RFC 1952) without optional header fields, unpacked piece by piece.
// Invariant: the pieces end without an error only if the stream was whole and its check value and length are right; never are there
// more bytes than the limit, whatever the stream claims, and what was received is looked at once. What follows the stream is
// ignored, as what follows a plain request is.

import { PassThrough, Readable, type Writable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { concatBytes } from '../core/bytes/bytes.ts';
import { errorCode } from '../host/system-error.ts';

/** First byte of a gzip stream; no netstring and no TLS record begins with it. */
export const GZIP_FIRST_BYTE = 0x1f;
/** Identification, method deflate, no flags; then time, extra flags and system, which mean nothing here. */
const HEADER = [GZIP_FIRST_BYTE, 0x8b, 8, 0];
const HEADER_LENGTH = 10;
/** Check value and length of what was packed, four bytes each, the lowest first. */
const TRAILER_LENGTH = 8;
const PIECE_SIZE = 65_536;

/** The stream is not what it should be; the message says in what, to follow or to precede "while". */
export class GzipFault extends Error {}

/** A compressed request on its way. */
export interface RequestGunzip {
  /** Where it is written to as it comes. */
  readonly packed: Writable;
  /** The request; an error is a {@link GzipFault}, unless the system is in trouble. Bytes are valid for good. */
  readonly unpacked: Readable;
}

/** Unpacks as {@link gunzipRequest} does, at the pace of whoever reads; about 200 KB are under way. */
export function createRequestGunzip(sizeMax: number): RequestGunzip {
  const packed = new PassThrough();
  return { packed, unpacked: Readable.from(gunzipRequest(packed, sizeMax), { highWaterMark: 1 }) };
}

/**
 * Unpacks a request. The pieces have at most 64 KB, and no chunk is asked for before the pieces of the former are taken.
 * @param sizeMax bytes that the request may have when it is unpacked
 * @throws GzipFault
 */
export async function* gunzipRequest(
  chunks: AsyncIterable<Uint8Array>,
  sizeMax: number,
): AsyncGenerator<Uint8Array, void> {
  const input = new Input(chunks);
  const header = await input.take(HEADER_LENGTH);
  if (HEADER.some((byte, i) => header[i] !== byte)) throw new GzipFault('bad gzip header');
  let [size, check] = [0, 0];
  for await (const piece of inflate(input)) {
    size += piece.length;
    if (size > sizeMax) throw new GzipFault(`more than ${sizeMax} bytes in a gzip stream`);
    check = crc32(piece, check);
    yield piece;
  }
  const trailer = Buffer.from(await input.take(TRAILER_LENGTH));
  if (trailer.readUInt32LE(0) !== check) throw new GzipFault('wrong check value of a gzip stream');
  if (trailer.readUInt32LE(4) !== size % 2 ** 32) throw new GzipFault('wrong length of a gzip stream');
}

/** Chunks of which a part can be given back. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async next(): Promise<Uint8Array> {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) return rest;
    const { done, value } = await this.#chunks.next();
    if (done) throw new GzipFault('early end of a gzip stream');
    return value;
  }

  async take(length: number): Promise<Uint8Array> {
    let taken = await this.next();
    while (taken.length < length) taken = concatBytes([taken, await this.next()]);
    this.giveBack(taken.subarray(length));
    return taken.subarray(0, length);
  }

  giveBack(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#rest = bytes;
  }
}

/** What is packed, up to the end that the packed data itself has; what follows is given back to the input. */
async function* inflate(input: Input): AsyncGenerator<Uint8Array, void> {
  const stream = createInflateRaw({ chunkSize: PIECE_SIZE });
  let fault: Error | undefined;
  let wake: () => void = () => undefined;
  stream.on('readable', () => wake());
  stream.on('error', (error) => {
    fault = error;
    wake();
  });
  try {
    for (;;) {
      const chunk = await input.next();
      const before = stream.bytesWritten;
      let isTaken = false;
      stream.write(chunk, () => {
        isTaken = true;
        wake();
      });
      for (;;) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const piece: Uint8Array | null = stream.read();
        if (piece !== null) yield piece;
        else if (fault !== undefined) throw faultOf(fault);
        else if (isTaken) break;
        else await changed;
      }
      // At the end, and only there, it takes no more; it is seen when there is something behind it, as there must be.
      const rest = chunk.subarray(stream.bytesWritten - before);
      if (rest.length > 0) return input.giveBack(rest);
    }
  } finally {
    stream.destroy();
  }
}

function faultOf(error: Error): Error {
  return errorCode(error)?.startsWith('Z_') ? new GzipFault('damaged gzip stream') : error;
}
