// Asks a socketmap server. One connection is kept for all questions, which go out without waiting for each other.
// Invariant: a question has an answer, or none, within a bounded time, and never rejects; after trouble no connection is used
// again, since it is not known what its next answer belongs to. Knows no protocol: the session does.

import type { Socket } from 'node:net';
import { concatBytes } from '../core/bytes/bytes.ts';
import type { SocketmapAddress } from '../core/format/socketmap-address.ts';
import { SocketmapClientSession } from '../core/protocol/socketmap/client-session.ts';
import type { SocketmapReply } from '../core/protocol/socketmap/messages.ts';
import type { Clock } from '../host/clock.ts';

/** From a question to its answer, a new connection included. A client waits for an answer to RCPT for five minutes. */
export const SOCKETMAP_ANSWER_MS = 5_000;
const QUESTIONS_MAX = 1_000;

/** What asks one server. */
export class SocketmapClient {
  readonly #address: SocketmapAddress;
  readonly #clock: Clock;
  #connection: Connection | undefined;

  constructor(address: SocketmapAddress, clock: Clock) {
    this.#address = address;
    this.#clock = clock;
  }

  /** Asks for a key; undefined if the server cannot be reached, answers nothing that makes sense, or not in time. */
  async ask(key: Uint8Array): Promise<SocketmapReply | undefined> {
    const kept = this.#connection;
    const reply = await this.#askOnce(key);
    // A server may have ended a connection that was idle just when it was used again.
    const isStale = kept?.wasUsed === true && kept.end === 'lost';
    return reply === undefined && isStale ? this.#askOnce(key) : reply;
  }

  /** Ends the connection; open questions have no answer. */
  close(): void {
    this.#connection?.stop('lost');
  }

  #askOnce(key: Uint8Array): Promise<SocketmapReply | undefined> {
    if (this.#connection === undefined || this.#connection.end !== undefined)
      this.#connection = new Connection(this.#address);
    return this.#connection.ask({ name: this.#address.name, key }, this.#clock);
  }
}

type Query = Parameters<SocketmapClientSession['ask']>[0];

class Connection {
  /** Whether it has ever answered. */
  wasUsed = false;
  /** How it ended, if it has. */
  end: 'lost' | 'late' | undefined;
  readonly #session = new SocketmapClientSession();
  readonly #waiting: ((reply: SocketmapReply | undefined) => void)[] = [];
  readonly #socket: Socket;

  constructor(address: SocketmapAddress) {
    const { connect } = process.getBuiltinModule('node:net');
    this.#socket =
      address.kind === 'inet'
        ? connect({ host: address.host, port: address.port, noDelay: true })
        : connect({ path: Buffer.from(address.path).toString() });
    this.#socket.on('data', (bytes: Buffer) => {
      this.#session.receive(bytes);
      this.#advance();
    });
    for (const event of ['error', 'end', 'close']) this.#socket.on(event, () => this.stop('lost'));
  }

  /** Asks; undefined at once when too many questions wait. */
  ask(query: Query, clock: Clock): Promise<SocketmapReply | undefined> {
    if (this.#waiting.length >= QUESTIONS_MAX) return Promise.resolve(undefined);
    this.#session.ask(query);
    this.#socket.ref();
    this.#socket.write(concatBytes(this.#session.takeOutput()));
    return new Promise((resolve) => {
      const callOff = clock.after(SOCKETMAP_ANSWER_MS, () => this.stop('late'));
      this.#waiting.push((reply) => {
        callOff();
        resolve(reply);
      });
    });
  }

  /** Ends it; no open question has an answer. */
  stop(how: 'lost' | 'late'): void {
    if (this.end !== undefined) return;
    this.end = how;
    this.#socket.destroy();
    for (const settle of this.#waiting.splice(0)) settle(undefined);
  }

  #advance(): void {
    while (this.end === undefined) {
      const event = this.#session.next();
      if (event === 'need-input') break;
      if (event === 'closed' || event.type === 'violation') this.stop('lost');
      else {
        this.wasUsed = true;
        this.#waiting.shift()?.({ status: event.status, data: event.data });
      }
    }
    // A connection that nobody waits for does not keep a process alive.
    if (this.#waiting.length === 0) this.#socket.unref();
  }
}
