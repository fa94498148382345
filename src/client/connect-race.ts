// Which of several servers a message goes to: attempts to connect start in the order of the list, the next one when the one
// before has failed or was silent for a quarter of a second, and the first connection wins. Invariant: nothing is sent here,
// at most one connection is handed out at a time, and all others are closed by then. A name is looked up when its turn comes, and
// each of its addresses is an attempt. Source: RFC 8305, whose "Connection Attempt Delay" this is, for servers as for addresses.

import type { Socket } from 'node:net';
import type { ServerAddress } from '../core/format/server-list.ts';
import { formatPlace, isName } from '../core/format/server-list-place.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import { errorCode } from '../host/system-error.ts';
import type { AttemptResult } from './qmqp-conversation.ts';
import { type ResolveHost, resolveHost } from './resolve-host.ts';

/** How long an attempt to connect may be silent before the next one starts beside it. */
export const STAGGER_MS = 250;
const CONNECT_MS = 10_000;
const RESOLVE_MS = 10_000;

/** This host has no socket to give; another server would not help. */
const NO_SOCKET = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'];

/** What a race works with, and whom it tells. */
export interface ConnectRaceOptions {
  readonly clock: Clock;
  readonly resolve?: ResolveHost | undefined;
  /** Told when all attempts at a server have failed. */
  readonly onFailure: (server: ServerAddress, result: AttemptResult) => void;
  /** Told when a server was overtaken: one that was tried later is connected. It is not given up. */
  readonly onSilence?: ((server: ServerAddress) => void) | undefined;
}

/** A server and the socket that is connected to it, paused. */
export interface Connected {
  readonly server: ServerAddress;
  readonly socket: Socket;
}

/** A server that is still to be tried, or one address of it. */
interface Candidate {
  readonly server: ServerAddress;
  /** Absent: the name is still to be looked up. */
  readonly host?: string;
}

interface Attempt {
  readonly candidate: Candidate;
  readonly cancel: () => void;
}

/** See the head of this file. */
export class ConnectRace {
  readonly #options: ConnectRaceOptions;
  #waiting: Candidate[];
  /** In the order of their start. */
  #running: Attempt[] = [];
  #cancelStagger: () => void = () => {};
  #isOutOfSockets = false;
  #finish: (end: Connected | 'failed' | 'no-socket') => void = () => {};

  /** @param servers in the order in which to try them */
  constructor(servers: readonly ServerAddress[], options: ConnectRaceOptions) {
    this.#options = options;
    this.#waiting = servers.map((server) => (isName(server) ? { server } : { server, host: server.host }));
  }

  /**
   * Resolves with the next connection. The servers that were overtaken come again after those that were not tried yet; the one
   * that was handed out does not. `failed` if no server is left, `no-socket` if this host has no sockets. One call at a time.
   */
  next(): Promise<Connected | 'failed' | 'no-socket'> {
    return new Promise((resolve) => {
      this.#finish = resolve;
      this.#startNext();
    });
  }

  #startNext(): void {
    this.#cancelStagger();
    const candidate = this.#isOutOfSockets ? undefined : this.#waiting.shift();
    if (candidate === undefined) {
      if (this.#running.length === 0) this.#finish(this.#isOutOfSockets ? 'no-socket' : 'failed');
      return;
    }
    if (this.#waiting.length > 0) this.#armStagger();
    if (candidate.host === undefined) this.#resolve(candidate);
    else this.#connect(candidate, candidate.host);
  }

  #armStagger(): void {
    const cancel = this.#options.clock.after(STAGGER_MS, () => {
      // On a busy machine the connection may be there already, and only not told yet.
      const immediate = setImmediate(() => this.#startNext());
      this.#cancelStagger = () => clearImmediate(immediate);
    });
    this.#cancelStagger = cancel;
  }

  #resolve(candidate: Candidate): void {
    const { server } = candidate;
    const { clock, resolve = resolveHost } = this.#options;
    const attempt = this.#run(candidate, () => cancelTimer());
    const end = (result: AttemptResult) => {
      cancelTimer();
      this.#fail(attempt, result);
    };
    const cancelTimer = clock.after(RESOLVE_MS, () => end(unresolved(server, 'ETIMEOUT')));
    resolve(server.host).then(
      (addresses) => {
        if (addresses.length === 0) return end(unresolved(server, 'ENODATA'));
        if (this.#take(attempt) < 0) return undefined;
        cancelTimer();
        this.#waiting.unshift(...addresses.map((host) => ({ server, host })));
        return this.#startNext();
      },
      (error: unknown) => end(unresolved(server, errorCode(error) ?? 'unknown error')),
    );
  }

  #connect(candidate: Candidate, host: string): void {
    const { server } = candidate;
    const { port, path } = server;
    const net = process.getBuiltinModule('node:net');
    const place = path === undefined ? { host, port } : { path };
    const socket = net.connect({ ...place, allowHalfOpen: true, noDelay: true });
    // An answer that is there early is looked at only when the whole request is written.
    socket.pause();
    const cancelTimer = this.#options.clock.after(CONNECT_MS, () => end('ETIMEDOUT'));
    const attempt = this.#run(candidate, () => {
      cancelTimer();
      socket.destroy();
    });
    const end = (code: string) => {
      attempt.cancel();
      if (NO_SOCKET.includes(code)) this.#isOutOfSockets = true;
      this.#fail(attempt, unconnected(server, host, code));
    };
    // Stays for as long as the socket lives, so that no error is ever nobody's.
    socket.on('error', (error) => end(errorCode(error) ?? 'unknown error'));
    socket.once('connect', () => {
      cancelTimer();
      const position = this.#take(attempt);
      if (position >= 0) this.#win({ server, socket }, position);
    });
  }

  #run(candidate: Candidate, cancel: () => void): Attempt {
    const attempt = { candidate, cancel };
    this.#running.push(attempt);
    return attempt;
  }

  /** Takes an attempt out of those that run; its place among them, or -1 if it was none of them any more. */
  #take(attempt: Attempt): number {
    const position = this.#running.indexOf(attempt);
    if (position >= 0) this.#running.splice(position, 1);
    return position;
  }

  #fail(attempt: Attempt, result: AttemptResult): void {
    if (this.#take(attempt) < 0) return;
    const { server } = attempt.candidate;
    const isLast = ![...this.#waiting, ...this.#running.map(({ candidate }) => candidate)].some(
      (other) => other.server === server,
    );
    if (isLast) this.#options.onFailure(server, result);
    this.#startNext();
  }

  /** @param position of the attempt among those that run */
  #win(connected: Connected, position: number): void {
    this.#cancelStagger();
    for (const { cancel } of this.#running) cancel();
    const isOther = ({ server }: Candidate) => server !== connected.server;
    const running = this.#running.map(({ candidate }) => candidate);
    const overtaken = running.slice(0, position).filter(isOther);
    this.#running = [];
    this.#waiting = [...running.slice(position), ...this.#waiting].filter(isOther);
    this.#waiting.push(...overtaken);
    for (const { server } of overtaken) this.#options.onSilence?.(server);
    this.#finish(connected);
  }
}

function unresolved({ host }: ServerAddress, code: string): AttemptResult {
  // A name that does not exist may be a mistake, or a resolver that is not ready yet; only the second is silence.
  const isUnknown = code === 'ENOTFOUND' || code === 'ENODATA';
  return {
    exit: isUnknown ? QUEUE_EXIT.connectRefused : QUEUE_EXIT.connectTimeout,
    final: false,
    isSilent: !isUnknown,
    reason: `${host}: ${isUnknown ? 'the name is unknown' : 'the name cannot be looked up now'} (${code})`,
  };
}

function unconnected(server: ServerAddress, host: string, code: string): AttemptResult {
  const isSilent = code === 'ETIMEDOUT';
  const place = formatPlace({ ...server, host });
  return {
    exit: isSilent ? QUEUE_EXIT.connectTimeout : QUEUE_EXIT.connectRefused,
    final: false,
    isSilent,
    reason: isSilent ? `${place}: no connection in time` : `${place}: no connection (${code})`,
  };
}
