// Asks hub-lspawn for local deliveries: the one that the administrator runs, else one that this process starts itself and that can
// deliver as this process's user only (as everybody, if that is root). Invariant: K only for an answer that came whole.

import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { concatBytes, findByte } from '../core/bytes/bytes.ts';
import { formatRequestHead, parseAnswer, REQUEST_HEAD_MAX } from '../core/format/local-request.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { lspawnSocketPath, ownLspawnSocketPath } from '../host/lspawn-socket.ts';
import { errorCode, reasonOf, SystemError } from '../host/system-error.ts';
import type { LocalDelivery, LocalTransport } from './transport.ts';

/** Where the helper is. */
export interface LocalHelperSettings {
  readonly home: string;
  /** Path of hub-lspawn, for starting one. */
  readonly program: string;
}

const ANSWER_MAX = 65_536;

/** Delivers by hub-lspawn. */
export class LocalHelper implements LocalTransport {
  readonly #settings: LocalHelperSettings;
  #own: ChildProcess | undefined;
  #starting: Promise<void> | undefined;

  constructor(settings: LocalHelperSettings) {
    this.#settings = settings;
  }

  /** Never rejects. A connection that is lost on the way is a temporary outcome: the message may have been delivered. */
  async deliver({ address, sender, message }: LocalDelivery): Promise<Outcome> {
    if (findByte(address, 0) >= 0 || address.length + sender.length > REQUEST_HEAD_MAX - 100)
      return { letter: 'D', text: 'Sorry, no mailbox can have that name. (#5.1.3)\n' };
    if (findByte(sender, 0) >= 0)
      return { letter: 'D', text: 'Sorry, no program can be told of that sender. (#5.1.7)\n' };
    let socket: Socket;
    try {
      socket = await this.#connect();
    } catch (error) {
      return { letter: 'Z', text: `Unable to reach hub-lspawn: ${reasonOf(error)}. (#4.3.0)\n` };
    }
    return ask(socket, [formatRequestHead({ address, sender, length: message.length }), message]);
  }

  /** Lets a helper of our own end its deliveries, and itself. */
  close(): void {
    this.#own?.stdin?.end();
    this.#own = undefined;
  }

  async #connect(): Promise<Socket> {
    const { home } = this.#settings;
    return (
      (await open(lspawnSocketPath(home))) ??
      (await open(ownLspawnSocketPath(home))) ??
      (await this.#connectToOwn())
    );
  }

  async #connectToOwn(): Promise<Socket> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
    const path = ownLspawnSocketPath(this.#settings.home);
    const socket = await open(path);
    if (socket === undefined) throw new SystemError('connect to', path, 'nobody listens');
    return socket;
  }

  /** Starts one of our own, and waits until it takes requests. */
  #start(): Promise<void> {
    const { home, program } = this.#settings;
    this.close();
    const env = { ...process.env, QMAILHOME: home };
    const child = spawn(program, ['child'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#own = child;
    child.stdin.on('error', () => undefined);
    return new Promise((resolve, reject) => {
      child.stdout.once('data', () => {
        // From now on neither it nor its pipes keep this process running.
        child.unref();
        for (const stream of [child.stdin, child.stdout] as unknown as Socket[]) stream.unref();
        resolve();
      });
      child.once('error', (error) => reject(new SystemError('run', program, error)));
      child.once('exit', (code, signal) => {
        if (this.#own === child) this.#own = undefined;
        reject(new SystemError('run', program, `it ended with ${code ?? signal}`));
      });
    });
  }
}

/** A connection, or undefined if nobody listens there. @throws SystemError */
function open(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', (error) => {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ECONNREFUSED') resolve(undefined);
      else reject(new SystemError('connect to', path, error));
    });
  });
}

function ask(socket: Socket, request: readonly Uint8Array[]): Promise<Outcome> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  socket.on('data', (piece: Uint8Array) => {
    length += piece.length;
    if (length > ANSWER_MAX) socket.destroy();
    else pieces.push(piece);
  });
  socket.on('error', () => undefined);
  for (const part of request) socket.write(part);
  socket.end();
  return new Promise((resolve) => {
    socket.on('close', () => {
      const outcome = parseAnswer(concatBytes(pieces));
      const text = 'Lost hub-lspawn; the message may have been delivered all the same. (#4.3.0)\n';
      resolve(outcome ?? { letter: 'Z', text });
    });
  });
}
