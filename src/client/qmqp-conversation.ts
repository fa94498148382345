// One attempt to hand a request to one QMQP server: connect, write all, read the reply, with qmail-qmqpc's time limits.
// Invariant: `final` is false only if the server cannot have accepted the message, because the kernel had not taken the
// last byte of the request; only then may the message be given to another server.
// Differs: qmail-qmqpc never tries another server once it is connected; here a cut before that point moves on.

import type { Socket } from 'node:net';
import type { ServerAddress } from '../core/format/server-list.ts';
import { type OutcomeLetter, QUEUE_EXIT } from '../core/policy/outcome.ts';
import { QmqpClientSession } from '../core/protocol/qmqp/client-session.ts';
import type { Clock } from '../host/clock.ts';
import { errorCode } from '../host/system-error.ts';

/** How an attempt ended: an exit code of a queue program, and whether it holds or the next server may be tried. */
export interface AttemptResult {
  readonly exit: number;
  readonly final: boolean;
}

/** Bytes that are kept elsewhere, and read again by every attempt. */
export interface StoredBytes {
  readonly length: number;
  /** Reads from there; rejects, or gives other than that many bytes, if they cannot be had. */
  read(from: number, length: number): Promise<Uint8Array>;
}

/** A part of a request. */
export type RequestPiece = Uint8Array | StoredBytes;

const CONNECT_MS = 10_000;
const WRITE_MS = 60_000;
const READ_MS = 60_000;
/**
 * Bytes handed to the kernel at a time, each within {@link WRITE_MS}. Like one write of the original, which the kernel
 * makes wait until a good part of its buffer is free again.
 */
const WRITE_SIZE = 65_536;

const EXIT_OF_LETTER: { readonly [letter in OutcomeLetter]: number } = {
  K: QUEUE_EXIT.accepted,
  Z: QUEUE_EXIT.serverTemporary,
  D: QUEUE_EXIT.refused,
};

/** This host has no socket to give; another server would not help. */
const NO_SOCKET = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'];

/** Makes one attempt. Never rejects. @param request what to send, in order */
export function tryServer(
  { host, port }: ServerAddress,
  request: readonly RequestPiece[],
  clock: Clock,
): Promise<AttemptResult> {
  return converse({ host, port }, request, clock);
}

/** The same with a server of this host that listens on a socket file. */
export function trySocketFile(
  path: string,
  request: readonly RequestPiece[],
  clock: Clock,
): Promise<AttemptResult> {
  return converse({ path }, request, clock);
}

function converse(
  place: { host: string; port: number } | { path: string },
  request: readonly RequestPiece[],
  clock: Clock,
): Promise<AttemptResult> {
  const net = process.getBuiltinModule('node:net');
  return new Promise((resolve) => {
    const socket = net.connect({ ...place, allowHalfOpen: true, noDelay: true });
    new Conversation(socket, request, clock, resolve).start();
  });
}

class Conversation {
  #phase: 'connecting' | 'writing' | 'reading' | 'over' = 'connecting';
  readonly #socket: Socket;
  readonly #request: readonly RequestPiece[];
  readonly #clock: Clock;
  readonly #resolve: (result: AttemptResult) => void;
  readonly #session = new QmqpClientSession();
  /** Next piece to write, and how much of it is written. */
  #index = 0;
  #offset = 0;
  #cancelTimer: () => void = () => {};

  constructor(
    socket: Socket,
    request: readonly RequestPiece[],
    clock: Clock,
    resolve: (result: AttemptResult) => void,
  ) {
    this.#socket = socket;
    this.#request = request;
    this.#clock = clock;
    this.#resolve = resolve;
  }

  start(): void {
    const socket = this.#socket;
    // An answer that is there early is looked at only when the whole request is written.
    socket.pause();
    socket.on('error', (error) => this.#onError(error));
    socket.on('close', () => this.#fail());
    socket.on('connect', () => {
      this.#phase = 'writing';
      this.#write();
    });
    this.#arm(CONNECT_MS, () => this.#end({ exit: QUEUE_EXIT.connectTimeout, final: false }));
  }

  #onError(error: Error): void {
    if (this.#phase !== 'connecting') {
      this.#fail();
      return;
    }
    const code = errorCode(error) ?? '';
    if (NO_SOCKET.includes(code)) this.#end({ exit: QUEUE_EXIT.network, final: true });
    else if (code === 'ETIMEDOUT') this.#end({ exit: QUEUE_EXIT.connectTimeout, final: false });
    else this.#end({ exit: QUEUE_EXIT.connectRefused, final: false });
  }

  /** The connection is lost, or too slow. */
  #fail(): void {
    const final = this.#phase === 'reading';
    this.#end({
      exit: this.#phase === 'connecting' ? QUEUE_EXIT.connectRefused : QUEUE_EXIT.connectionLost,
      final,
    });
  }

  #write(): void {
    if (this.#index >= this.#request.length) {
      this.#read();
      return;
    }
    this.#arm(WRITE_MS, () => this.#fail());
    const piece = this.#request[this.#index]!;
    if (piece instanceof Uint8Array) this.#send(Buffer.concat(this.#takePieces()));
    else void this.#sendStored(piece);
  }

  #send(bytes: Uint8Array): void {
    this.#socket.write(bytes, (error) => {
      if (!error && this.#phase === 'writing') this.#write();
    });
  }

  /** The next pieces that are in memory, {@link WRITE_SIZE} bytes in all unless they end there. */
  #takePieces(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let room = WRITE_SIZE;
    while (room > 0) {
      const bytes = this.#request[this.#index];
      if (!(bytes instanceof Uint8Array)) break;
      const piece = bytes.subarray(this.#offset, this.#offset + room);
      pieces.push(piece);
      room -= piece.length;
      this.#advance(bytes, piece.length);
    }
    return pieces;
  }

  async #sendStored(piece: StoredBytes): Promise<void> {
    const length = Math.min(piece.length - this.#offset, WRITE_SIZE);
    const bytes = await piece.read(this.#offset, length).catch(() => undefined);
    if (this.#phase !== 'writing') return;
    // The server has an incomplete request, and another one would get no better.
    if (bytes?.length !== length) return this.#end({ exit: QUEUE_EXIT.readError, final: true });
    this.#advance(piece, length);
    this.#send(bytes);
  }

  #advance(piece: RequestPiece, length: number): void {
    this.#offset += length;
    if (this.#offset < piece.length) return;
    this.#index++;
    this.#offset = 0;
  }

  #read(): void {
    this.#phase = 'reading';
    const socket = this.#socket;
    socket.on('data', (bytes) => {
      this.#session.receive(bytes as Uint8Array);
      this.#awaitReply();
    });
    socket.on('end', () => {
      this.#session.receiveEnd();
      this.#awaitReply();
    });
    this.#awaitReply();
    socket.resume();
  }

  /** Ends with the reply if it is there; else gives the server {@link READ_MS} from now for the next piece of it. */
  #awaitReply(): void {
    const event = this.#session.next();
    if (event === 'closed') return;
    if (event === 'need-input') {
      this.#arm(READ_MS, () => this.#fail());
    } else {
      const exit = event.type === 'reply' ? EXIT_OF_LETTER[event.letter] : QUEUE_EXIT.connectionLost;
      this.#end({ exit, final: true });
    }
  }

  #arm(delayMs: number, onTime: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(delayMs, onTime);
  }

  #end(result: AttemptResult): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#cancelTimer();
    this.#socket.destroy();
    this.#resolve(result);
  }
}
