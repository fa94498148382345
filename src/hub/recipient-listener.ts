// Where gateways, or Postfix, ask the hub for recipients before they take a message: the map `recipient` by the socketmap
// protocol. Invariant: what it says is only what the hub would do; it never says that a recipient does not exist because
// something cannot be read. Knows no protocol: the session does.

import { createServer, type Server, type Socket } from 'node:net';
import { bytesOf, concatBytes, textOf } from '../core/bytes/bytes.ts';
import type { SocketmapReply } from '../core/protocol/socketmap/messages.ts';
import { SocketmapServerSession } from '../core/protocol/socketmap/server-session.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { JudgeClient } from './client-judge.ts';
import type { HostPort } from './host-port.ts';
import { listenOn } from './listen-on.ts';

/** What a listener works with. */
export interface RecipientListenerOptions {
  /** Whether the hub takes mail for a recipient. It may throw. */
  readonly takes: (recipient: Uint8Array) => boolean;
  /** Whether the host of an address may ask. */
  readonly judge: JudgeClient;
  readonly connectionCountMax: number;
  /** A client that asks nothing for so long is sent away. */
  readonly idleMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** The only map that there is. */
const MAP_NAME = 'recipient';

const TAKEN: SocketmapReply = { status: 'OK', data: bytesOf('taken') };
const NOT_FOUND: SocketmapReply = { status: 'NOTFOUND', data: bytesOf('') };
const TROUBLE: SocketmapReply = { status: 'TEMP', data: bytesOf('recipients cannot be read') };
const NO_MAP: SocketmapReply = { status: 'PERM', data: bytesOf(`no other map than "${MAP_NAME}"`) };

/** See the head of this file. */
export class RecipientListener {
  readonly #options: RecipientListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: RecipientListenerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionCountMax;
  }

  /** Begins to accept. @returns the address in use (a port of 0 picks one) @throws when the address cannot be bound */
  async listen({ host, port }: HostPort): Promise<HostPort> {
    const bound = await listenOn(this.#server, { host, port }, (reason) =>
      this.#options.log.write('check.listener-trouble', { reason }),
    );
    return { host, port: bound ?? port };
  }

  /** Accepts nothing more and ends all connections: whoever asked in vain can ask again, and nothing is lost. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    return closed;
  }

  #accept(socket: Socket): void {
    const { judge, log, clock, idleMs } = this.#options;
    const ip = socket.remoteAddress ?? 'unknown';
    const verdict = judge(ip);
    if (!verdict.allow) {
      log.write('check.refused', { ip, reason: verdict.reason });
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const session = new SocketmapServerSession();
    let callOff = clock.after(idleMs, () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      callOff();
      callOff = clock.after(idleMs, () => socket.destroy());
      session.receive(bytes);
      this.#advance(session, socket, ip);
    });
    socket.on('end', () => {
      session.receiveEnd();
      this.#advance(session, socket, ip);
    });
    socket.on('drain', () => socket.resume());
    // A reset tells no more than the close that follows it.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      callOff();
      this.#sockets.delete(socket);
    });
  }

  #advance(session: SocketmapServerSession, socket: Socket, ip: string): void {
    for (;;) {
      const event = session.next();
      if (event === 'need-decision') throw new Error('No decision on a query');
      if (event === 'need-input' || event === 'closed') {
        this.#write(session, socket);
        if (event === 'closed') socket.end();
        return;
      }
      if (event.type === 'query') session.decide(this.#answer(event.name, event.key));
      else {
        this.#options.log.write('check.lost', { ip, reason: `${event.code} while ${event.where}` });
        this.#write(session, socket);
        socket.destroySoon();
        return;
      }
    }
  }

  /** A client that does not read its answers is read from no more. */
  #write(session: SocketmapServerSession, socket: Socket): void {
    const output = session.takeOutput();
    if (output.length > 0 && !socket.write(concatBytes(output))) socket.pause();
  }

  #answer(name: Uint8Array, key: Uint8Array): SocketmapReply {
    if (textOf(name) !== MAP_NAME) return NO_MAP;
    try {
      return this.#options.takes(key) ? TAKEN : NOT_FOUND;
    } catch (error) {
      this.#options.log.write('check.trouble', { recipient: key, reason: reasonOf(error) });
      return TROUBLE;
    }
  }
}
