// One request on one connection: write all of it, read the reply, with qmail-qmqpc's time limits.
// Invariant: `final` is false only if the server cannot have accepted the message, because the kernel had not taken the
// last byte of the request; only then may the message be given to another server as if nothing had happened.
// Differs: qmail-qmqpc never tries another server once it is connected; here a cut before that point moves on.

import type { Socket } from 'node:net';
import { type OutcomeLetter, QUEUE_EXIT } from '../core/policy/outcome.ts';
import { QmqpClientSession } from '../core/protocol/qmqp/client-session.ts';
import type { Clock } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import type { ReadyStream } from './ready-stream.ts';
import type { RequestSource } from './request-source.ts';

/** How an attempt ended: an exit code of a queue program, and whether it holds or the next server may be tried. */
export interface AttemptResult {
  readonly exit: number;
  readonly final: boolean;
  /** The server had the whole request and gave no answer: it may have accepted the message. */
  readonly isUnknown?: boolean;
  /** A time limit ran out. */
  readonly isSilent?: boolean;
  /** What went wrong, for people. */
  readonly reason?: string;
}

const WRITE_MS = 60_000;
const READ_MS = 60_000;

const EXIT_OF_LETTER: { readonly [letter in OutcomeLetter]: number } = {
  K: QUEUE_EXIT.accepted,
  Z: QUEUE_EXIT.serverTemporary,
  D: QUEUE_EXIT.refused,
};

/** Holds the conversation on a connection, and closes that. Never rejects. */
export function converse(ready: ReadyStream, request: RequestSource, clock: Clock): Promise<AttemptResult> {
  return new Promise((resolve) => new Conversation({ ready, request, clock, resolve }).start());
}

interface ConversationOptions {
  readonly ready: ReadyStream;
  readonly request: RequestSource;
  readonly clock: Clock;
  readonly resolve: (result: AttemptResult) => void;
}

class Conversation {
  #phase: 'writing' | 'reading' | 'over' = 'writing';
  readonly #options: ConversationOptions;
  readonly #socket: Socket;
  readonly #session = new QmqpClientSession();
  /** The kernel may have the last byte of the request, though nobody has said so. */
  #mayBeWhole = false;
  /** The chunk after the one that is being written. */
  #ahead: Uint8Array | undefined;
  #cancelTimer: () => void = () => {};

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#socket = options.ready.stream;
  }

  start(): void {
    const socket = this.#socket;
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail());
    if (socket.destroyed) this.#fail();
    else void this.#write();
  }

  /** The connection is lost. */
  #fail(error?: Error): void {
    const { provesRefusal, explain = reasonOf } = this.#options.ready;
    const isRefusal = error !== undefined && provesRefusal?.(error) === true;
    const final = (this.#phase === 'reading' || this.#mayBeWhole) && !isRefusal;
    const when = this.#phase === 'writing' ? 'sending the request' : this.#session.where;
    const reason = `connection lost while ${when}${error === undefined ? '' : ` (${explain(error)})`}`;
    this.#end({ exit: QUEUE_EXIT.connectionLost, final, isUnknown: final, reason });
  }

  /** Nothing happens within the time limit. */
  #giveUp(): void {
    const final = this.#phase === 'reading' || this.#mayBeWhole;
    const when = this.#phase === 'reading' ? this.#session.where : 'sending the request';
    const reason = `nothing came in time while ${when}`;
    this.#end({ exit: QUEUE_EXIT.connectionLost, final, isUnknown: final, isSilent: true, reason });
  }

  /** Writes the next chunk, once it is known whether it is the last: only what comes before that one can be taken back. */
  async #write(): Promise<void> {
    this.#arm(WRITE_MS);
    const chunk = this.#ahead ?? (await this.#nextChunk());
    if (chunk !== undefined) this.#ahead = await this.#nextChunk();
    if (this.#phase !== 'writing') return;
    if (chunk === undefined) {
      this.#read();
      return;
    }
    // A socket tells in the moment in which the kernel has all; TLS a turn of the event loop later.
    this.#mayBeWhole = this.#ahead === undefined && 'encrypted' in this.#socket;
    this.#socket.write(chunk, (error) => {
      if (error || this.#phase !== 'writing') return;
      if (this.#ahead === undefined) this.#read();
      else void this.#write();
    });
  }

  async #nextChunk(): Promise<Uint8Array | undefined> {
    if (this.#phase !== 'writing') return undefined;
    try {
      return await this.#options.request.next();
    } catch (error) {
      // The server has an incomplete request, and another one would get no better.
      const reason = `the message cannot be read (${reasonOf(error)})`;
      this.#end({ exit: QUEUE_EXIT.readError, final: true, reason });
      return undefined;
    }
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
    if (event === 'need-input') this.#arm(READ_MS);
    else if (event.type === 'reply') {
      const refusal = event.letter === 'K' ? {} : { reason: `it answered: ${this.#session.text}` };
      this.#end({ exit: EXIT_OF_LETTER[event.letter], final: true, ...refusal });
    } else {
      const reason = `${event.code} while ${event.where}`;
      this.#end({ exit: QUEUE_EXIT.connectionLost, final: true, isUnknown: true, reason });
    }
  }

  #arm(delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(delayMs, () => this.#giveUp());
  }

  #end(result: AttemptResult): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#cancelTimer();
    this.#socket.destroy();
    this.#options.resolve(result);
  }
}
