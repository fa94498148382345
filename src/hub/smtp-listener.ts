// The hub's SMTP and LMTP listeners: many sessions in one process, bounded in all and, for those who may not send anywhere,
// per address and together too, so that no stranger keeps others out. Knows no protocol: the sessions do.

import { rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { bytesOf } from '../core/bytes/bytes.ts';
import { parseIpv6 } from '../core/format/ip-address.ts';
import type { MemoryBudget } from '../gate/memory-budget.ts';
import type { HostPort } from './host-port.ts';
import type { JudgeSmtpClient } from './smtp-clients.ts';
import { SmtpConnection, type SmtpSessionServices } from './smtp-connection.ts';

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

const BACKLOG = 1024;
const MAPPED = '::ffff:';
const NETWORK_GROUPS = 4;
const STRANGERS_PART = 0.75;

/** See the head of this file. */
export class SmtpListener {
  readonly #options: SmtpListenerOptions;
  readonly #forStrangers: SmtpSessionServices;
  readonly #server: Server;
  readonly #connections = new Set<SmtpConnection>();
  readonly #strangers = new Map<string, number>();
  #strangerTotal = 0;
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: SmtpListenerOptions) {
    this.#options = options;
    this.#forStrangers = { ...options, envelopes: options.strangerEnvelopes };
    const settings = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
    this.#server = createServer(settings, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionCountMax;
  }

  /** Begins to accept. @returns the place in use (a port of 0 picks one) @throws when it cannot be had */
  async listen(place: SmtpPlace): Promise<SmtpPlace> {
    if ('path' in place) await removeDeadSocket(place.path);
    await new Promise<void>((resolve, reject) => {
      const modes = 'path' in place ? { readableAll: true, writableAll: true } : {};
      this.#server.once('error', reject);
      this.#server.listen({ ...place, ...modes, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', ({ message: reason }) =>
          this.#options.log.write('smtp.listener-trouble', { reason }),
        );
        resolve();
      });
    });
    const bound = this.#server.address();
    return 'path' in place || typeof bound !== 'object' || bound === null
      ? place
      : { host: place.host, port: bound.port };
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
    const ip = plainIp(socket.remoteAddress);
    const verdict = this.#isLocal() ? ({ allow: true, env: { RELAYCLIENT: '' } } as const) : judge(ip);
    if (!verdict.allow || this.#isStopping) {
      if (!verdict.allow) log.write('smtp.refused', { ip, reason: verdict.reason });
      socket.destroy();
      return;
    }
    const stranger = 'RELAYCLIENT' in verdict.env ? undefined : networkOf(ip);
    const tooMany = stranger === undefined ? undefined : this.#tooMany(stranger);
    if (tooMany !== undefined) {
      log.write('smtp.refused', { ip, reason: `too many connections ${tooMany}` });
      socket.end(`421 too many connections ${tooMany} (#4.7.0)\r\n`, () => socket.destroy());
      return;
    }
    void this.#serve(socket, ip, this.#environment(ip, verdict.env), stranger);
  }

  async #serve(
    socket: Socket,
    ip: string,
    env: SmtpEnvironment,
    stranger: string | undefined,
  ): Promise<void> {
    const services = stranger === undefined ? this.#options : this.#forStrangers;
    const connection = new SmtpConnection(socket, ip, env, services);
    this.#connections.add(connection);
    this.#count(stranger, 1);
    await connection.serve();
    this.#count(stranger, -1);
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #tooMany(stranger: string): string | undefined {
    const { strangerCountMax, connectionCountMax } = this.#options;
    if ((this.#strangers.get(stranger) ?? 0) >= strangerCountMax) return 'from your network';
    return this.#strangerTotal >= connectionCountMax * STRANGERS_PART ? 'at the moment' : undefined;
  }

  #count(stranger: string | undefined, change: number): void {
    if (stranger === undefined) return;
    this.#strangerTotal += change;
    const count = (this.#strangers.get(stranger) ?? 0) + change;
    if (count > 0) this.#strangers.set(stranger, count);
    else this.#strangers.delete(stranger);
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

function plainIp(address: string | undefined): string {
  if (address === undefined) return 'local';
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}

/** What one client can have many addresses of: the first half of an IPv6 address. */
function networkOf(ip: string): string {
  const groups = parseIpv6(bytesOf(ip.split('%')[0] ?? ''));
  return groups === undefined ? ip : groups.subarray(0, NETWORK_GROUPS).join(':');
}

/** Removes a socket file that nobody listens on any more. */
async function removeDeadSocket(path: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
  if (!isAlive) rmSync(path, { force: true });
}
