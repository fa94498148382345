// qmail-smtpd: takes mail by SMTP from a connection and hands each message to the queue program as it comes, with a Received
// field on top. Invariant: 250 after a message is said only when the queue program has said so, and a session that ends in
// the middle of a message leaves an incomplete envelope, which queues nothing. Everything belongs to one session, so that
// a server can run any number of them. Knows no protocol: the session does. Source: the qmail-smtpd manual page.

import { existsSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import { readConnectionTrace } from '../client/connection-trace.ts';
import { openQueueProgram, type QueueProgramOptions } from '../client/open-queue-program.ts';
import type { Environment } from '../client/qmqp-submit.ts';
import type { QueueProgram } from '../client/queue-program.ts';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { receivedBySmtp } from '../core/format/received.ts';
import { isSenderBad } from '../core/policy/badmailfrom.ts';
import { type Outcome, outcomeOfQueueResult } from '../core/policy/outcome.ts';
import { isRecipientAllowed } from '../core/policy/rcpthosts.ts';
import { REPLIES, refusalReply, type SmtpReply } from '../core/protocol/smtp/replies.ts';
import { type SmtpServerEvent, SmtpServerSession } from '../core/protocol/smtp/server-session.ts';
import type { CdbFile } from '../host/cdb-file.ts';
import type { Clock } from '../host/clock.ts';
import type { ByteInput, ByteOutput } from '../host/descriptor-io.ts';
import { isLocalAddress } from '../host/local-addresses.ts';
import { readServerCertificate } from '../host/server-certificate.ts';
import type { TlsFacts } from '../host/socket-io.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import { openMoreRcpthosts } from './more-rcpthosts.ts';
import { type ReadSmtpdControls, readSmtpdControls, type SmtpdControls } from './smtpd-controls.ts';

/** A connection, where the server belongs, and what may be put in place of the usual. */
export interface SmtpdOptions {
  readonly input: ByteInput;
  readonly output: ByteOutput;
  /** What the UCSPI server says of the connection (TCPREMOTEIP …), RELAYCLIENT, DATABYTES, QMAILQUEUE. */
  readonly env: Environment;
  readonly home: string;
  readonly ownBin: string;
  readonly clock: Clock;
  /** Makes the connection encrypted; without it STARTTLS is not offered. */
  readonly startTls?: ((context: SecureContext) => Promise<TlsFacts | undefined>) | undefined;
  /** Opens the queue for one message; if it fails the message is refused for now before it is sent. */
  readonly openQueue?: ((options: QueueProgramOptions) => QueueProgram | Promise<QueueProgram>) | undefined;
  /** What somebody else says of a recipient that qmail-smtpd itself would accept; undefined for nothing against it. */
  readonly checkRecipient?:
    | ((recipient: Uint8Array, sender: Uint8Array) => Promise<Outcome | undefined>)
    | undefined;
  /** Reads the control files; a process with many sessions has {@link cacheSmtpdControls} for them. */
  readonly readControls?: ReadSmtpdControls | undefined;
  /** Told what only the administrator can mend; one line without its end. */
  readonly complain?: ((text: string) => void) | undefined;
}

const EXIT_DONE = 0;
const EXIT_BROKEN = 1;
const LAST_WORDS_MS = 1000;
const CHECK_FAILED: Outcome = { letter: 'Z', text: 'unable to check that recipient now (#4.3.0)' };

/** Why a session cannot go on although nobody broke the protocol. */
type Stop = 'timeout' | 'lost' | 'no-controls';
type Event<Type extends SmtpServerEvent['type']> = Extract<SmtpServerEvent, { type: Type }>;

/**
 * Serves one session and resolves with the program's exit code: 0 after QUIT, 1 when it ended in any other way. Never
 * rejects. It does not close the connection; a caller that goes on living closes it afterwards, which also ends a read
 * that was given up.
 */
export async function runSmtpd(options: SmtpdOptions): Promise<number> {
  let controls: SmtpdControls;
  try {
    const { home, env, readControls = readSmtpdControls } = options;
    controls = readControls(home, env);
  } catch (error) {
    if (error instanceof SystemError && error.operation === 'understand') options.complain?.(error.message);
    await options.output.write([lineOf(REPLIES.noControls)]);
    return EXIT_BROKEN;
  }
  const connection = new SmtpdConnection(options, controls);
  try {
    return await connection.serve();
  } catch (error) {
    options.complain?.(`Session ended by an error: ${reasonOf(error)}`);
    return EXIT_BROKEN;
  } finally {
    connection.release();
  }
}

function lineOf({ code, text }: SmtpReply): Uint8Array {
  return bytesOf(`${code} ${text}\r\n`);
}

class SmtpdConnection {
  readonly #options: SmtpdOptions;
  readonly #controls: SmtpdControls;
  readonly #session: SmtpServerSession;
  readonly #endMs: number;
  #queue: QueueProgram | undefined;
  #moreRcpthosts: CdbFile | undefined;
  #context: SecureContext | undefined;
  #stop: Stop | undefined;

  constructor(options: SmtpdOptions, controls: SmtpdControls) {
    this.#options = options;
    this.#controls = controls;
    const { greeting, sizeMax, extensions, localiphost } = controls;
    const local = localiphost && { host: localiphost, isLocal: isLocalAddress };
    const offersTls = options.startTls !== undefined && existsSync(this.#certificatePath());
    this.#session = new SmtpServerSession({ greeting, sizeMax, extensions, offersTls, local });
    const { sessionSecondsMax } = extensions;
    this.#endMs =
      sessionSecondsMax > 0 ? options.clock.nowMs() + sessionSecondsMax * 1000 : Number.POSITIVE_INFINITY;
  }

  async serve(): Promise<number> {
    for (;;) {
      const event = this.#session.next();
      if (event === 'need-output') await this.#flush();
      else if (event === 'need-input') await this.#read();
      else if (event === 'closed') break;
      else if (event === 'need-decision') throw new Error(`No decision while ${this.#session.where}`);
      else if (event.type === 'violation') this.#stop = 'lost';
      else await this.#take(event);
      if (this.#stop !== undefined) return this.#end();
    }
    await this.#flush();
    return this.#stop === undefined ? EXIT_DONE : EXIT_BROKEN;
  }

  /** Lets go of everything: the queue program sees the end of its input before a complete envelope. */
  release(): void {
    const queue = this.#queue;
    this.#queue = undefined;
    void queue?.abort();
    this.#moreRcpthosts?.close();
    this.#moreRcpthosts = undefined;
  }

  /** Says the last words, if there are any, as far as they can be said. */
  async #end(): Promise<number> {
    const stop = this.#stop;
    this.#stop = undefined;
    if (stop === 'timeout') this.#session.timeout();
    await this.#flush();
    if (stop === 'no-controls') await this.#within(this.#options.output.write([lineOf(REPLIES.noControls)]));
    return EXIT_BROKEN;
  }

  async #read(): Promise<void> {
    await this.#flush();
    if (this.#stop !== undefined) return;
    const isOver = this.#options.clock.nowMs() >= this.#endMs;
    const bytes = isOver ? 'late' : await this.#within(this.#options.input.read());
    if (bytes === 'late') this.#stop = 'timeout';
    else if (bytes === undefined) this.#session.receiveEnd();
    else this.#session.receive(bytes);
  }

  async #flush(): Promise<void> {
    const output = this.#session.takeOutput();
    if (output.length === 0) return;
    if ((await this.#within(this.#options.output.write(output))) !== true) this.#stop = 'lost';
  }

  async #within<T>(work: Promise<T>): Promise<T | 'late'> {
    const { clock } = this.#options;
    // What the session's end leaves is enough for its last words.
    const leftMs = Math.max(this.#endMs - clock.nowMs(), LAST_WORDS_MS);
    const limitMs = Math.min(this.#controls.timeoutMs, leftMs);
    let callOff = (): void => {};
    const late = new Promise<'late'>((resolve) => {
      callOff = clock.after(limitMs, () => resolve('late'));
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      callOff();
    }
  }

  async #take(event: Exclude<SmtpServerEvent, { type: 'violation' }>): Promise<void> {
    switch (event.type) {
      case 'recipient':
        return this.#onRecipient(event);
      case 'message-start':
        return this.#session.decide(await this.#startMessage(event));
      case 'data':
        return this.#queue?.write(event.bytes);
      case 'message-end':
        return this.#session.decide(await this.#finishMessage(event));
      case 'start-tls':
        return this.#startTls();
    }
  }

  async #onRecipient({ address, sender }: Event<'recipient'>): Promise<void> {
    const { badmailfrom, rcpthosts } = this.#controls;
    if (badmailfrom !== undefined && isSenderBad(sender, badmailfrom))
      return this.#session.decide(REPLIES.badSender);
    const suffix = this.#options.env['RELAYCLIENT'];
    try {
      const find = (key: Uint8Array): boolean => this.#isInMoreRcpthosts(key);
      if (suffix === undefined && !isRecipientAllowed(address, rcpthosts, find))
        return this.#session.decide(REPLIES.notAllowed);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#stop = 'no-controls';
      return;
    }
    const recipient = suffix === undefined ? address : concatBytes([address, Buffer.from(suffix)]);
    const outcome = await this.#options.checkRecipient?.(recipient, sender).catch(() => CHECK_FAILED);
    if (outcome === undefined || outcome.letter === 'K') this.#session.decide(REPLIES.ok, recipient);
    else this.#session.decide(refusalReply(outcome, 550));
  }

  #isInMoreRcpthosts(key: Uint8Array): boolean {
    this.#moreRcpthosts ??= openMoreRcpthosts(this.#options.home);
    return this.#moreRcpthosts.find(key) !== undefined;
  }

  async #startMessage(event: Event<'message-start'>): Promise<SmtpReply> {
    const { home, ownBin, env, clock, openQueue = openQueueProgram } = this.#options;
    const { notqmail } = this.#controls.extensions;
    try {
      this.#queue = await openQueue({ home, ownBin, env, customText: notqmail });
    } catch {
      return REPLIES.noQueue;
    }
    const trace = readConnectionTrace(env, clock);
    await this.#queue.write(receivedBySmtp({ ...trace, ...event, showsBrackets: notqmail }));
    return REPLIES.goAhead;
  }

  async #finishMessage({ envelope, isRefused }: Event<'message-end'>): Promise<SmtpReply> {
    const queue = this.#queue;
    this.#queue = undefined;
    if (queue === undefined) throw new Error('Cannot queue a message: its start was never seen');
    if (isRefused) {
      await queue.abort();
      // The session says why.
      return REPLIES.noQueue;
    }
    const result = await queue.finish(envelope).catch(() => undefined);
    if (result === undefined) return REPLIES.noQueue;
    const outcome = outcomeOfQueueResult(result);
    if (outcome.letter !== 'K') return refusalReply(outcome);
    const seconds = Math.floor(this.#options.clock.nowMs() / 1000);
    return { code: 250, text: `ok ${seconds} qp ${result.pid}` };
  }

  async #startTls(): Promise<void> {
    const { startTls, complain } = this.#options;
    try {
      this.#context ??= readServerCertificate(this.#certificatePath());
    } catch (error) {
      complain?.(reasonOf(error));
      return this.#session.decide(REPLIES.noTls);
    }
    this.#session.decide(REPLIES.readyForTls);
    await this.#flush();
    if (this.#stop !== undefined) return;
    const facts = await this.#within(startTls!(this.#context));
    if (facts === undefined || facts === 'late') this.#stop = 'lost';
    else this.#session.secured();
  }

  #certificatePath(): string {
    return `${this.#options.home}/control/servercert.pem`;
  }
}
