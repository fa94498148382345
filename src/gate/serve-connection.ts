// One connection of tcpserver, from its acceptance to its end: who is there, whether they may, and the program.
// Invariant: whatever happens ends in a status; the connection is closed or its child's then.
// Differs: the original is a process from the start on. Here there is none until the program starts, so what stands for the
// connection in the log is the program's process id, or a number beyond all process ids where no process is started.

import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';

import { formatVerdictLine, type LoggedConnection } from '../core/format/tcpserver-log.ts';
import type { TcpRuleVerdict } from '../core/policy/tcp-rules.ts';
import type { Clock } from '../host/clock.ts';
import { type AskDns, findNameOfIp, isAddressOfName } from '../host/dns-client.ts';
import { errorText } from '../host/error-text.ts';
import { askIdent } from '../host/ident-client.ts';
import { plainIp } from '../host/plain-ip.ts';
import { Environment } from '../host/raw-arguments.ts';
import { openSocketInputOutput } from '../host/socket-io.ts';
import { errorCode } from '../host/system-error.ts';
import { findProgram } from './find-program.ts';
import type { OwnSession } from './own-session.ts';
import type { FindVerdict } from './rules-file.ts';
import { spawnOnSocket } from './spawn-on-socket.ts';
import type { TcpserverOptions, Verbosity } from './tcpserver-options.ts';

/** What all connections of a server have in common. */
export interface ConnectionServices {
  readonly options: TcpserverOptions;
  /** What programs inherit. */
  readonly env: Environment;
  readonly localPort: number;
  readonly findVerdict: FindVerdict | undefined;
  readonly askDns: AskDns;
  readonly clock: Clock;
  /** Folder of our own programs. */
  readonly ownBin: string;
  /** The session that the program is, if that is one of ours and may run in this process. */
  readonly ownSession: () => OwnSession | undefined;
  /** Prints a line if the verbosity is at least that. */
  readonly print: (verbosity: Verbosity, line: string | Uint8Array) => void;
}

/** The addresses of a connection. */
export interface ConnectionEnds {
  readonly localIp: string;
  readonly remoteIp: string;
  readonly remotePort: number;
  /** The interface of an IPv6 connection within one link. */
  readonly zone: string | undefined;
}

/** The addresses of a connection, an IPv4 address always as such; undefined if the peer is gone already. */
export function endsOf({ localAddress, remoteAddress, remotePort }: Socket): ConnectionEnds | undefined {
  if (localAddress === undefined || remoteAddress === undefined || remotePort === undefined) return undefined;
  const [localIp = ''] = plainIp(localAddress).split('%');
  const [remoteIp = '', zone] = plainIp(remoteAddress).split('%');
  return { localIp, remoteIp, remotePort, zone };
}

const EXIT_DENIED = 100;
const EXIT_DROPPED = 111;

/** Status as wait() gives it for an exit code. */
function waitStatus(exit: number): number {
  return exit * 256;
}

// Linux's process ids end at 4194304.
let lastNumber = 4_194_304;

/** Serves a connection whose peer is `ends`; `onChild` is called when it has become a child's. Never rejects. */
export async function serveConnection(
  socket: Socket,
  ends: ConnectionEnds,
  services: ConnectionServices,
  onChild: () => void,
): Promise<void> {
  const connection = new Connection(socket, ends, services, onChild);
  let status: number | undefined;
  try {
    status = await connection.serve();
  } catch (error) {
    status = connection.drop(`internal bug: ${String(error)}`);
  }
  socket.destroy();
  if (status !== undefined) services.print(2, `tcpserver: end ${connection.number()} status ${status}\n`);
}

class Connection {
  readonly #socket: Socket;
  readonly #ends: ConnectionEnds;
  readonly #services: ConnectionServices;
  readonly #onChild: () => void;
  #number: number | undefined;
  #localHost: Uint8Array | undefined;
  #remoteHost: Uint8Array | undefined;
  #remoteInfo: Uint8Array | undefined;

  constructor(socket: Socket, ends: ConnectionEnds, services: ConnectionServices, onChild: () => void) {
    this.#socket = socket;
    this.#ends = ends;
    this.#services = services;
    this.#onChild = onChild;
  }

  /** The status, or undefined if there is none because no process could be made. */
  async serve(): Promise<number | undefined> {
    const { options, findVerdict } = this.#services;
    const session = this.#services.ownSession();
    if (session !== undefined) this.number();
    const bannerError = await this.#writeBanner();
    if (bannerError !== undefined) return this.drop(`unable to print banner: ${errorText(bannerError)}`);
    await this.#askAround();
    let verdict: TcpRuleVerdict | undefined;
    try {
      verdict = findVerdict?.({
        ip: bytesOf(this.#ends.remoteIp),
        ...(this.#remoteHost && { host: this.#remoteHost }),
        ...(this.#remoteInfo && { info: this.#remoteInfo }),
      });
    } catch (error) {
      return this.drop(['unable to read ', options.rules ?? '', `: ${errorText(error)}`]);
    }
    if (verdict?.allow === false) {
      this.#printVerdict(false);
      return waitStatus(EXIT_DENIED);
    }
    const env = this.#environment(verdict);
    return session === undefined ? this.#runChild(env) : this.#runOwn(session, env);
  }

  /** What stands for this connection in the log; the line that introduces it is printed with the first use. */
  number(pid?: number): number {
    if (this.#number === undefined) {
      this.#number = pid ?? ++lastNumber;
      this.#services.print(2, `tcpserver: pid ${this.#number} from ${this.#ends.remoteIp}\n`);
    }
    return this.#number;
  }

  /** Says why the connection is dropped; returns the status. Strings stand for their bytes. */
  drop(why: string | readonly (string | Uint8Array)[]): number {
    this.number();
    const parts = ['tcpserver: warning: dropping connection, ', ...why, '\n'];
    const line = concatBytes(parts.map((part) => (typeof part === 'string' ? bytesOf(part) : part)));
    this.#services.print(1, line);
    return waitStatus(EXIT_DROPPED);
  }

  #writeBanner(): Promise<Error | undefined> {
    const { banner } = this.#services.options;
    if (banner.length === 0) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#socket.write(banner, (error) => resolve(error ?? undefined)));
  }

  /** Finds out the names and the ident answer that the options ask for. */
  async #askAround(): Promise<void> {
    const { options, askDns, localPort, clock } = this.#services;
    const { localIp, remoteIp, remotePort } = this.#ends;
    this.#localHost = options.localHost ?? (await findNameOfIp(askDns, localIp));
    if (options.askRemoteHost) {
      const name = await findNameOfIp(askDns, remoteIp);
      const isMeant =
        name !== undefined && (!options.isParanoid || (await isAddressOfName(askDns, name, remoteIp)));
      this.#remoteHost = isMeant ? name : undefined;
    }
    if (!options.askRemoteInfo) return;
    const timeoutMs = options.identTimeoutMs;
    this.#remoteInfo = await askIdent({ localIp, localPort, remoteIp, remotePort, timeoutMs, clock });
  }

  #environment(verdict: TcpRuleVerdict | undefined): Environment {
    const env = new Environment(this.#services.env.strings);
    const { localIp, remoteIp, remotePort, zone } = this.#ends;
    const isIpv6 = remoteIp.includes(':');
    const facts: [string, Uint8Array | string | undefined][] = [
      ['TCPLOCALIP', localIp],
      ['TCPLOCALPORT', String(this.#services.localPort)],
      ['TCPLOCALHOST', this.#localHost],
      ['TCPREMOTEIP', remoteIp],
      ['TCPREMOTEPORT', String(remotePort)],
      ['TCPREMOTEHOST', this.#remoteHost],
      ['TCPREMOTEINFO', this.#remoteInfo],
    ];
    Object.assign(env.strings, isIpv6 ? { PROTO: 'TCP6' } : { PROTO: 'TCP' });
    for (const [name, value] of facts) {
      setOrRemove(env, name, value);
      setOrRemove(env, name.replace(/^TCP/, 'TCP6'), isIpv6 ? value : undefined);
    }
    setOrRemove(env, 'TCP6INTERFACE', isIpv6 ? zone : undefined);
    for (const { name, value } of verdict?.environment ?? []) env.set(String(Buffer.from(name)), value);
    return env;
  }

  async #runOwn(session: OwnSession, env: Environment): Promise<number> {
    this.#printVerdict(true);
    const { clock, ownBin } = this.#services;
    const io = openSocketInputOutput(this.#socket);
    let status: number;
    try {
      status = waitStatus(await session({ io, env: env.strings, ownBin }));
    } catch (error) {
      status = this.drop(`internal bug: ${String(error)}`);
    }
    await io.close(clock);
    return status;
  }

  async #runChild(env: Environment): Promise<number | undefined> {
    const words = this.#services.options.program;
    const name = words[0]!;
    const found = findProgram(String(Buffer.from(name)), this.#services.env.strings['PATH']);
    if ('error' in found) return this.#cannotRun(name, found.error);
    let end: number | Error;
    try {
      const mustWait = this.#services.options.verbosity === 2;
      const { child, letGo } = spawnOnSocket(this.#socket, { path: found.path, words, env, mustWait });
      const ended = new Promise<number | Error>((resolve) => {
        child.on('error', resolve);
        child.on('exit', (exit, signal) =>
          resolve(signal === null ? waitStatus(exit ?? 0) : constants.signals[signal]),
        );
      });
      if (child.pid !== undefined) {
        this.number(child.pid);
        this.#printVerdict(true);
        letGo();
        this.#socket.destroy();
        this.#onChild();
      }
      end = await ended;
    } catch (error) {
      end = error instanceof Error ? error : new Error(String(error));
    }
    return typeof end === 'number' ? end : this.#cannotRun(name, end);
  }

  #cannotRun(name: Uint8Array, error: unknown): number | undefined {
    if (FORK_ERRORS.includes(errorCode(error) ?? '') && this.#number === undefined) {
      this.#services.print(
        1,
        `tcpserver: warning: dropping connection, unable to fork: ${errorText(error)}\n`,
      );
      return undefined;
    }
    this.#printVerdict(true);
    return this.drop(['unable to run ', name, `: ${errorText(error)}`]);
  }

  #printVerdict(isAllowed: boolean): void {
    const connection: LoggedConnection = {
      ...this.#ends,
      pid: this.number(),
      localPort: this.#services.localPort,
      localHost: this.#localHost,
      remoteHost: this.#remoteHost,
      remoteInfo: this.#remoteInfo,
    };
    this.#services.print(2, formatVerdictLine(isAllowed, connection));
  }
}

const FORK_ERRORS = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'];

function setOrRemove(env: Environment, name: string, value: Uint8Array | string | undefined): void {
  if (typeof value === 'string') env.strings[name] = value;
  else env.setOrRemove(name, value);
}
