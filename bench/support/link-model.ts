// A slow line by arithmetic: bits leave one after the other, and arrive a fixed time later. It is a token bucket that holds no more
// than what is being sent. Knows no clock: times go in and come out.

/** What a line is like, each way. */
export interface LinkSpeed {
  readonly bitsPerSecond: number;
  /** From an end to the other, in ms, beside the time that the bits themselves take. */
  readonly delayMs: number;
}

/** One direction of a line, which loses nothing. Counts what it carries. */
export class SerialLink {
  bytes = 0;
  packets = 0;
  readonly #speed: LinkSpeed;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  constructor(speed: LinkSpeed) {
    this.#speed = speed;
  }

  /** Takes a packet. @param nowMs not before that of the call before @returns when all of it is at the other end */
  carry(nowMs: number, bytes: number): number {
    const { bitsPerSecond, delayMs } = this.#speed;
    this.bytes += bytes;
    this.packets++;
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (bytes * 8000) / bitsPerSecond;
    return this.#freeAtMs + delayMs;
  }
}

/** The two directions of a line. */
export interface Line {
  /** From the client to the server. */
  readonly up: SerialLink;
  readonly down: SerialLink;
}

/** Bytes of a TCP segment on a line of 1,500, and what IPv4 and TCP put in front of them. */
export const SEGMENT_BYTES = 1460;
export const HEADER_BYTES = 40;

/** Time that so many bytes of a stream take on the line in full segments, seconds: nothing can be faster. */
export function wireLimitSeconds(bytes: number, { bitsPerSecond }: LinkSpeed): number {
  return ((bytes + Math.ceil(bytes / SEGMENT_BYTES) * HEADER_BYTES) * 8) / bitsPerSecond;
}

/**
 * One TCP connection over a line, as far as time and bytes go: the three packets that open it; data in segments as it is written,
 * with 40 bytes of headers; an acknowledgement of 40 bytes for every second segment. Not modelled: slow start, which begins with ten
 * segments where this line holds half a one; retransmissions; the packets that end it.
 */
export class ModelConnection {
  readonly #line: Line;
  #unacknowledged = 0;
  /** When the client's end is open and may send, and when the server knows of it. */
  readonly clientOpenMs: number;
  readonly serverOpenMs: number;

  constructor(line: Line, nowMs: number) {
    this.#line = line;
    this.clientOpenMs = line.down.carry(line.up.carry(nowMs, HEADER_BYTES), HEADER_BYTES);
    this.serverOpenMs = line.up.carry(this.clientOpenMs, HEADER_BYTES);
  }

  /** Sends bytes that were written at once. @returns when each segment of them arrives, and its size */
  send(from: 'client' | 'server', nowMs: number, bytes: number): { atMs: number; bytes: number }[] {
    const [there, back] =
      from === 'client' ? [this.#line.up, this.#line.down] : [this.#line.down, this.#line.up];
    const arrivals: { atMs: number; bytes: number }[] = [];
    for (let rest = bytes; rest > 0; rest -= SEGMENT_BYTES) {
      const size = Math.min(rest, SEGMENT_BYTES);
      const atMs = there.carry(nowMs, size + HEADER_BYTES);
      arrivals.push({ atMs, bytes: size });
      if (++this.#unacknowledged % 2 === 0) back.carry(atMs, HEADER_BYTES);
    }
    return arrivals;
  }
}
