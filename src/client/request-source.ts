// A QMQP request as bytes that are written one chunk after the other. Invariant: a source gives the same bytes whenever it is
// made anew from the same pieces, and its last chunk is the end of the request: a server cannot have the message before that one
// is written.

/** Bytes that are kept elsewhere, and read again by every attempt. */
export interface StoredBytes {
  readonly length: number;
  /** Reads from there; rejects, or gives other than that many bytes, if they cannot be had. */
  read(from: number, length: number): Promise<Uint8Array>;
}

/** A part of a request. */
export type RequestPiece = Uint8Array | StoredBytes;

/** The chunks of one request, for one attempt. */
export interface RequestSource {
  /**
   * The next bytes, which stay as they are; undefined after the last. Throws or rejects if they cannot be had; then nothing
   * more may be sent, by this attempt or another one. Asked for one chunk ahead of what is written.
   */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/**
 * Bytes handed to the kernel at a time, each within the time limit for writing. Like one write of the original, which the
 * kernel makes wait until a good part of its buffer is free again.
 */
const WRITE_SIZE = 65_536;

/** The request as it is, in chunks of 64 KB: small pieces are put together, large ones cut. */
export function readPieces(request: readonly RequestPiece[]): RequestSource {
  return new PieceSource(request);
}

class PieceSource implements RequestSource {
  readonly #request: readonly RequestPiece[];
  /** Next piece, and how much of it is gone. */
  #index = 0;
  #offset = 0;

  constructor(request: readonly RequestPiece[]) {
    this.#request = request;
  }

  next(): Uint8Array | undefined | Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let room = WRITE_SIZE;
    while (room > 0) {
      const piece = this.#request[this.#index];
      if (piece === undefined) break;
      if (!(piece instanceof Uint8Array)) {
        if (pieces.length > 0) break;
        if (piece.length > 0) return this.#nextStored(piece);
        this.#advance(piece, 0);
        continue;
      }
      const part = piece.subarray(this.#offset, this.#offset + room);
      pieces.push(part);
      room -= part.length;
      this.#advance(piece, part.length);
    }
    return room < WRITE_SIZE ? Buffer.concat(pieces) : undefined;
  }

  async #nextStored(piece: StoredBytes): Promise<Uint8Array> {
    const length = Math.min(piece.length - this.#offset, WRITE_SIZE);
    const bytes = await piece.read(this.#offset, length);
    if (bytes.length !== length) throw new Error('The stored message is not as long as it was');
    this.#advance(piece, length);
    return bytes;
  }

  #advance(piece: RequestPiece, length: number): void {
    this.#offset += length;
    if (this.#offset < piece.length) return;
    this.#index++;
    this.#offset = 0;
  }
}
