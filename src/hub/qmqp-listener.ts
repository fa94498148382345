// The hub's QMQP listener: lets in who may use the hub, many at a time in one process, and ends what lasts too long. What
// is said on a connection is in qmqp-connection.ts.

import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { QMQP_SESSION_MS } from '../core/protocol/qmqp/server-session.ts';
import type { ClientVerdict, JudgeClient } from './client-judge.ts';
import type { HostPort } from './host-port.ts';
import { BACKLOG, listenOn } from './listen-on.ts';
import { QmqpConnection, type QmqpConnectionOptions } from './qmqp-connection.ts';
import { type Admitted, QmqpDoor, type QmqpDoorOptions } from './qmqp-door.ts';
import { StrangerCount } from './stranger-count.ts';

/** What a listener works with. */
export interface QmqpListenerOptions extends QmqpConnectionOptions {
  /** Whether the host of that address may use the hub; whoever may can send anything anywhere. */
  readonly judge: JudgeClient;
  /** Sessions at a time; further connections are closed at once, and their clients go to the next server. */
  readonly connectionCountMax: number;
  /** A client that sends nothing for so long is sent away; noticed within ten seconds. */
  readonly idleMs: number;
  /** TLS of this port, and whether it is demanded; without it all is plain. */
  readonly door?: Pick<QmqpDoorOptions, 'tls' | 'demand'> | undefined;
}

const SWEEP_MS = 10_000;
/** Clients that no address lets in, until they have shown a certificate. */
const STRANGERS = { totalMax: 500, perNetworkMax: 20 };

/** See the head of this file. */
export class QmqpListener {
  readonly #options: QmqpListenerOptions;
  readonly #server: Server;
  readonly #sessions = new Set<QmqpConnection | QmqpDoor>();
  readonly #strangers = new StrangerCount(STRANGERS);
  #callOffSweep: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: QmqpListenerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionCountMax;
  }

  /** Begins to accept. @returns the address in use (a port of 0 picks one) @throws when the address cannot be bound */
  async listen({ host, port }: HostPort): Promise<HostPort> {
    return { host, port: (await this.#listen({ host, port })) ?? port };
  }

  /** Begins to accept every user of this host on a socket file, which must not exist. @throws when it cannot be made */
  async listenOnFile(path: string): Promise<void> {
    await this.#listen({ path, readableAll: true, writableAll: true });
  }

  async #listen(place: ListenOptions): Promise<number | undefined> {
    const port = await listenOn(this.#server, { ...place, backlog: BACKLOG }, (reason) =>
      this.#options.log.write('qmqp.listener-trouble', { reason }),
    );
    this.#sweepLater();
    return port;
  }

  /** Accepts nothing more, waits for sessions under way for at most `graceMs`, ends the rest. */
  async close(graceMs: number): Promise<void> {
    this.#callOffSweep?.();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const drained = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#sessions.size === 0) resolve();
    });
    const callOff = this.#options.clock.after(graceMs, () => {
      for (const session of this.#sessions) session.end('hub is stopping');
    });
    // A client that has sent nothing yet can be sent away at once; it will try again.
    for (const session of this.#sessions) if (!session.hasBegun) session.end('hub is stopping');
    await drained;
    callOff();
    await closed;
  }

  #accept(socket: Socket): void {
    const { judge, log, door, isLocal } = this.#options;
    const address = socket.remoteAddress ?? (isLocal ? 'local' : 'unknown');
    const verdict = judge(address);
    if (door !== undefined && (door.demand !== 'nothing' || door.tls.isReady)) {
      this.#letKnock(socket, address, verdict, door);
    } else if (verdict.allow) this.#serve(socket, address, verdict);
    else {
      log.write('qmqp.refused', { ip: address, reason: verdict.reason });
      socket.destroy();
    }
  }

  #letKnock(
    socket: Socket,
    ip: string,
    verdict: ClientVerdict,
    settings: Pick<QmqpDoorOptions, 'tls' | 'demand'>,
  ): void {
    const { clock, log } = this.#options;
    if (!verdict.allow) {
      const isHeard = settings.tls.asksCertificates;
      if (!isHeard || !this.#strangers.take(ip)) {
        log.write('qmqp.refused', { ip, reason: isHeard ? 'too many connections at once' : verdict.reason });
        socket.destroy();
        return;
      }
    }
    const door = new QmqpDoor(
      {
        ...{ socket, ip, verdict },
        onAdmitted: (admitted) => this.#serve(admitted.stream, ip, verdict, admitted),
        onEnd: () => {
          if (!verdict.allow) this.#strangers.give(ip);
          this.#remove(door);
        },
      },
      { ...settings, clock, log },
    );
    this.#sessions.add(door);
  }

  #serve(stream: Socket, ip: string, verdict: ClientVerdict, admitted?: Admitted): void {
    const { limits } = this.#options;
    const databytes = verdict.allow ? verdict.databytes : undefined;
    const options =
      databytes === undefined
        ? this.#options
        : { ...this.#options, limits: { ...limits, messageSizeMax: databytes || undefined } };
    const client = { ip, identity: admitted?.identity, tls: admitted?.tls };
    const session = new QmqpConnection(stream, client, options, () => this.#remove(session));
    this.#sessions.add(session);
    if (admitted?.first !== undefined) session.receive(admitted.first);
  }

  #remove(session: QmqpConnection | QmqpDoor): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#onEmpty?.();
  }

  /** Ends sessions that have lasted an hour, as qmail-qmqpd does, and idle ones. One timer for all: they are many and short. */
  #sweepLater(): void {
    this.#callOffSweep = this.#options.clock.after(SWEEP_MS, () => {
      const nowMs = this.#options.clock.steadyMs();
      for (const session of this.#sessions) {
        const isOver = nowMs - session.startMs > QMQP_SESSION_MS;
        if (isOver || nowMs - session.heardMs > this.#options.idleMs) session.end('timeout');
      }
      this.#sweepLater();
    });
  }
}
