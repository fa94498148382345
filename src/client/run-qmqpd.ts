// qmail-qmqpd: takes one message by QMQP from a connection and hands it to the queue program as it comes, with a Received
// field on top. Invariant: only a request that was read to its final comma is queued, and K is said only when the queue
// program has said so. Everybody who can connect may send to everybody: access is the caller's business.
// Source: the qmail-qmqpd manual page.

import { formatQueueEnvelope } from '../core/format/queue-envelope.ts';
import { receivedByQmqp } from '../core/format/received.ts';
import { type Outcome, outcomeOfQueueResult, type QueueResult } from '../core/policy/outcome.ts';
import {
  QMQP_SESSION_MS,
  type QmqpServerEvent,
  QmqpServerSession,
  type QmqpViolation,
} from '../core/protocol/qmqp/server-session.ts';
import type { Clock } from '../host/clock.ts';
import type { ByteInput, ByteOutput } from '../host/descriptor-io.ts';
import { canEnter } from '../host/invocation.ts';
import { readConnectionTrace } from './connection-trace.ts';
import { openQueueProgram, type QueueProgramOptions } from './open-queue-program.ts';
import type { Environment } from './qmqp-submit.ts';
import type { QueueProgram } from './queue-program.ts';

/** A connection, and where the server belongs. */
export interface QmqpdOptions {
  readonly input: ByteInput;
  readonly output: ByteOutput;
  /** What the UCSPI server says of the connection (TCPREMOTEIP …), and QMAILQUEUE. */
  readonly env: Environment;
  readonly home: string;
  readonly ownBin: string;
  readonly clock: Clock;
  /** Opens the queue for one message, in place of {@link openQueueProgram}. */
  readonly openQueue?: ((options: QueueProgramOptions) => QueueProgram) | undefined;
}

const EXIT_DONE = 0;
const EXIT_PROTOCOL = 100;
const EXIT_TEMPORARY = 111;

const EXIT_OF_VIOLATION: { readonly [code in QmqpViolation]: number } = {
  'bad-length': EXIT_PROTOCOL,
  'missing-comma': EXIT_PROTOCOL,
  'length-disagreement': EXIT_PROTOCOL,
  'length-overflow': EXIT_TEMPORARY,
  timeout: EXIT_TEMPORARY,
  'early-end': EXIT_DONE,
};

/** The addresses are kept until the message is complete; a million of them fit. */
const ADDRESS_BYTES_MAX = 100_000_000;

/**
 * Serves one request and resolves with the program's exit code: 0 after a reply or when the client closed early, 100
 * for a request that is not QMQP, 111 for trouble on this side and after one hour. Never rejects. It does not close
 * the connection; a caller that goes on living closes it afterwards.
 */
export async function runQmqpd(options: QmqpdOptions): Promise<number> {
  let stopClock = (): void => {};
  const hourIsOver = new Promise<number>((resolve) => {
    stopClock = options.clock.after(QMQP_SESSION_MS, () => resolve(EXIT_TEMPORARY));
  });
  const request = new Request(options);
  try {
    return await Promise.race([request.serve(), hourIsOver]);
  } finally {
    stopClock();
    request.abandon();
  }
}

class Request {
  readonly #options: QmqpdOptions;
  readonly #session = new QmqpServerSession({ addressBytesMax: ADDRESS_BYTES_MAX });
  #queue: QueueProgram | undefined;
  #sender: Uint8Array = new Uint8Array(0);
  readonly #recipients: Uint8Array[] = [];

  constructor(options: QmqpdOptions) {
    this.#options = options;
  }

  async serve(): Promise<number> {
    try {
      return await this.#run();
    } catch {
      return EXIT_TEMPORARY;
    }
  }

  /** Lets the queue program see the end of its input before a complete envelope, unless it has had that already. */
  abandon(): void {
    const queue = this.#queue;
    this.#queue = undefined;
    void queue?.abort();
  }

  async #run(): Promise<number> {
    for (;;) {
      const event = this.#session.next();
      if (event === 'need-input') await this.#read();
      else if (event === 'need-decision') this.#session.decide(await this.#finish());
      else if (event === 'closed') break;
      else if (event.type === 'violation') return EXIT_OF_VIOLATION[event.code];
      else if (event.type === 'message-start' && !canEnter(this.#options.home)) return EXIT_TEMPORARY;
      else await this.#take(event);
    }
    await this.#options.output.write(this.#session.takeOutput());
    return EXIT_DONE;
  }

  async #read(): Promise<void> {
    const bytes = await this.#options.input.read();
    if (bytes === undefined) this.#session.receiveEnd();
    else this.#session.receive(bytes);
  }

  #take(event: QmqpServerEvent): Promise<void> | undefined {
    switch (event.type) {
      case 'message-start':
        this.#queue = (this.#options.openQueue ?? openQueueProgram)({ ...this.#options, customText: true });
        return this.#queue.write(receivedByQmqp(readConnectionTrace(this.#options.env, this.#options.clock)));
      case 'data':
        return this.#queue?.write(event.bytes);
      case 'sender':
        this.#sender = event.address;
        return undefined;
      case 'recipient':
        this.#recipients.push(event.address);
        return undefined;
      case 'message-end':
      case 'request-end':
      case 'violation':
        return undefined;
    }
  }

  /** What the queue makes of the request; when the session refuses it, that goes before. */
  async #finish(): Promise<Outcome> {
    const queue = this.#queue;
    this.#queue = undefined;
    if (queue === undefined) throw new Error('Cannot queue a message: its start was never seen');
    if (this.#session.refusal !== undefined) {
      await queue.abort();
      return this.#session.refusal;
    }
    const envelope = formatQueueEnvelope({ sender: this.#sender, recipients: this.#recipients });
    return this.#outcome(await queue.finish(envelope));
  }

  #outcome(result: QueueResult): Outcome {
    const outcome = outcomeOfQueueResult(result);
    if (outcome.letter !== 'K') return outcome;
    const seconds = Math.floor(this.#options.clock.nowMs() / 1000);
    return { letter: 'K', text: `ok ${seconds} qp ${result.pid}` };
  }
}
