// How many connections tcpserver serves at a time. Node takes connections from the kernel as they come and cannot be told to
// stop, so those beyond the limit wait here, untouched and in order, as they would in the kernel.
// Invariant: at most `limit` are served, each is waited for to its end, and waiting ones are bounded.

import type { Socket } from 'node:net';
import { type ConnectionEnds, endsOf } from './serve-connection.ts';

/** What to do with connections. */
export interface ConnectionsOptions {
  readonly limit: number;
  /** Called when the number of served connections has changed. */
  readonly onCount: (count: number) => void;
  /** Serves one to its end; `onChild` is called when another process has it. Never rejects. */
  readonly serve: (socket: Socket, ends: ConnectionEnds, onChild: () => void) => Promise<void>;
}

/** Waiting connections beyond these are closed. */
const WAITING_MAX = 10_000;

/** The connections of a server. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #waiting = new Map<Socket, ConnectionEnds>();
  #count = 0;
  #inThisProcess = 0;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Takes a new connection, of which nothing was read. */
  add(socket: Socket): void {
    // A peer may reset the connection at any time, also while nobody reads.
    socket.on('error', () => {});
    const ends = endsOf(socket);
    if (ends === undefined || this.#isClosed || this.#waiting.size >= WAITING_MAX) socket.destroy();
    else if (this.#count < this.#options.limit) void this.#serve(socket, ends);
    else this.#waiting.set(socket, ends);
  }

  /** Closes what waits, starts nothing more, and resolves when all that is served in this process has ended. */
  close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#waiting.keys()) socket.destroy();
    this.#waiting.clear();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      if (this.#inThisProcess === 0) resolve();
    });
  }

  async #serve(socket: Socket, ends: ConnectionEnds): Promise<void> {
    this.#options.onCount(++this.#count);
    this.#inThisProcess++;
    let isHere = true;
    const leave = () => {
      if (!isHere) return;
      isHere = false;
      if (--this.#inThisProcess === 0) this.#onIdle?.();
    };
    await this.#options.serve(socket, ends, leave);
    this.#options.onCount(--this.#count);
    leave();
    const [next] = this.#waiting;
    if (next === undefined || this.#count >= this.#options.limit) return;
    this.#waiting.delete(next[0]);
    void this.#serve(...next);
  }
}
