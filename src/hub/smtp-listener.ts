// The hub's SMTP and LMTP listeners: many sessions in one process, bounded in all and, for those who may not send anywhere,
// per address and together too, so that no stranger keeps others out. Knows no protocol: the sessions do.

import { rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { MemoryBudget } from '../gate/memory-budget.ts';
import { plainIp } from '../host/plain-ip.ts';
import { answersOn } from '../host/socket-probe.ts';
import type { HostPort } from './host-port.ts';
import { BACKLOG, listenOn } from './listen-on.ts';
import type { JudgeSmtpClient } from './smtp-clients.ts';
import { SmtpConnection, type SmtpSessionServices } from './smtp-connection.ts';
import { StrangerCount } from './stranger-count.ts';

/** Where a listener listens: an address and port, or a socket file. */
export type SmtpPlace = HostPort | { readonly path: string };

/** What a listener works with. */
export interface SmtpListenerOptions extends SmtpSessionServices {
  readonly judge: JudgeSmtpClient;
  /** Name of this host for the Received field. */
  readonly me: string;
  /** Bytes of a message unless a rule says otherwise; undefined for no limit. */
  readonly messageSizeMax: number | undefined;
  /** Memory for recipients that strangers name, as `envelopes` is for all others. */
  readonly strangerEnvelopes: MemoryBudget;
  /** Sessions at a time; three quarters of them may be those of strangers, who may not send anywhere. */
  readonly connectionCountMax: number;
  /** Sessions of strangers from one address, or one IPv6 network of 64 bits. */
  readonly strangerCountMax: number;
}

const STRANGERS_PART = 0.75;
/** What a client is told that is one too many. */
const TOO_MANY = { network: 'from your network', total: 'at the moment' };

/** See the head of this file. */
export class SmtpListener {
  readonly #options: SmtpListenerOptions;
  readonly #forStrangers: SmtpSessionServices;
  readonly #server: Server;
  readonly #connections = new Set<SmtpConnection>();
  readonly #strangers: StrangerCount;
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: SmtpListenerOptions) {
    this.#options = options;
    this.#strangers = new StrangerCount({
      totalMax: options.connectionCountMax * STRANGERS_PART,
      perNetworkMax: options.strangerCountMax,
    });
    this.#forStrangers = { ...options, envelopes: options.strangerEnvelopes };
    const settings = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = createServer(settings, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionCountMax;
  }

  /** Begins to accept. @returns the place in use (a port of 0 picks one) @throws when it cannot be had */
  async listen(place: SmtpPlace): Promise<SmtpPlace> {
    if ('path' in place) await removeDeadSocket(place.path);
    const modes = 'path' in place ? { readableAll: true, writableAll: true } : {};
    const port = await listenOn(this.#server, { ...place, ...modes, backlog: BACKLOG }, (reason) =>
      this.#options.log.write('smtp.listener-trouble', { reason }),
    );
    return 'path' in place ? place : { host: place.host, port: port ?? place.port };
  }

  /** Accepts nothing more, lets messages on their way in arrive for at most `graceMs`, ends the rest. */
  async close(graceMs: number): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const drained = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#connections.size === 0) resolve();
    });
    const callOff = this.#options.clock.after(graceMs, () => {
      for (const connection of this.#connections) connection.cut();
    });
    for (const connection of this.#connections) connection.stop();
    await drained;
    callOff();
    await closed;
  }

  #accept(socket: Socket): void {
    const { judge, log } = this.#options;
    // A peer may reset the connection at any time, also while nobody reads.
    socket.on('error', () => undefined);
    const ip = plainIp(socket.remoteAddress ?? 'local');
    const verdict = this.#isLocal() ? ({ allow: true, env: { RELAYCLIENT: '' } } as const) : judge(ip);
    if (!verdict.allow || this.#isStopping) {
      if (!verdict.allow) log.write('smtp.refused', { ip, reason: verdict.reason });
      socket.destroy();
      return;
    }
    const isStranger = !('RELAYCLIENT' in verdict.env);
    const short = isStranger ? this.#strangers.shortage(ip) : undefined;
    if (short !== undefined) {
      const tooMany = TOO_MANY[short];
      log.write('smtp.refused', { ip, reason: `too many connections ${tooMany}` });
      socket.end(`421 too many connections ${tooMany} (#4.7.0)\r\n`, () => socket.destroy());
      return;
    }
    void this.#serve(socket, ip, this.#environment(ip, verdict.env), isStranger);
  }

  async #serve(socket: Socket, ip: string, env: SmtpEnvironment, isStranger: boolean): Promise<void> {
    const services = isStranger ? this.#forStrangers : this.#options;
    if (isStranger) this.#strangers.take(ip);
    const connection = new SmtpConnection(socket, ip, env, services);
    this.#connections.add(connection);
    await connection.serve();
    if (isStranger) this.#strangers.give(ip);
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #isLocal(): boolean {
    return typeof this.#server.address() === 'string';
  }

  #environment(ip: string, given: SmtpEnvironment): SmtpEnvironment {
    const { me, messageSizeMax } = this.#options;
    const common = { TCPREMOTEIP: ip, TCPLOCALHOST: me, DATABYTES: String(messageSizeMax ?? 0) };
    return { ...common, ...given };
  }
}

type SmtpEnvironment = Readonly<Record<string, string | undefined>>;

/** Removes a socket file that nobody listens on any more. */
async function removeDeadSocket(path: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  if (!(await answersOn(path))) rmSync(path, { force: true });
}
