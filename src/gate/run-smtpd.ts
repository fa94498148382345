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
import {
  type SmtpServerEvent,
  SmtpServerSession,
  type SmtpViolation,
} from '../core/protocol/smtp/server-session.ts';
import type { CdbFile } from '../host/cdb-file.ts';
import type { Clock } from '../host/clock.ts';
import type { ByteInput, ByteOutput } from '../host/descriptor-io.ts';
import { isLocalAddress } from '../host/local-addresses.ts';
import { readServerCertificate } from '../host/server-certificate.ts';
import type { TlsFacts } from '../host/socket-io.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import { openMoreRcpthosts } from './more-rcpthosts.ts';
import { type ReadSmtpdControls, readSmtpdControls, type SmtpdControls } from './smtpd-controls.ts';

/** What a server may want to know of a session; `envelope` is as a queue program takes it. */
export type SmtpdIncident =
  | {
      readonly type: 'recipient-refused';
      readonly recipient: Uint8Array;
      readonly sender: Uint8Array;
      readonly reply: SmtpReply;
    }
  | {
      readonly type: 'message-refused';
      readonly envelope: Uint8Array | undefined;
      readonly reply: SmtpReply;
    }
  | { readonly type: 'lost'; readonly code: SmtpViolation; readonly where: string };

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
  /**
   * What somebody else says of a recipient that qmail-smtpd itself would accept; undefined for nothing against it. `count`
   * is how many the message has so far.
   */
  readonly checkRecipient?:
    | ((recipient: Uint8Array, sender: Uint8Array, count: number) => Promise<Outcome | undefined>)
    | undefined;
  /** Which recipients are taken when control/rcpthosts is missing; without it all are. */
  readonly isOwnRecipient?: ((recipient: Uint8Array) => boolean) | undefined;
  /** Whether LMTP is spoken. */
  readonly isLmtp?: boolean | undefined;
  /** Whether senders may ask to be told what becomes of their messages: the queue must keep what they ask. */
  readonly offersDsn?: boolean | undefined;
  /** Told what the client did not get. */
  readonly tell?: ((incident: SmtpdIncident) => void) | undefined;
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
    const { offersDsn, isLmtp } = options;
    this.#session = new SmtpServerSession({
      ...{ greeting, sizeMax, extensions, offersTls, offersDsn, isLmtp, local },
    });
    const { sessionSecondsMax } = extensions;
    this.#endMs =
      sessionSecondsMax > 0 ? options.clock.steadyMs() + sessionSecondsMax * 1000 : Number.POSITIVE_INFINITY;
  }

  async serve(): Promise<number> {
    for (;;) {
      const event = this.#session.next();
      if (event === 'need-output') await this.#flush();
      else if (event === 'need-input') await this.#read();
      else if (event === 'closed') break;
      else if (event === 'need-decision') throw new Error(`No decision while ${this.#session.where}`);
      else if (event.type === 'violation') this.#lose(event);
      else await this.#take(event);
      if (this.#stop !== undefined) return this.#end();
    }
    await this.#flush();
    return this.#stop === undefined ? EXIT_DONE : EXIT_BROKEN;
  }

  #lose(violation: Event<'violation'>): void {
    this.#stop = 'lost';
    this.#options.tell?.({ ...violation, type: 'lost' });
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
    const last = stop === 'timeout' ? this.#session.timeout() : undefined;
    if (typeof last === 'object' && last.type === 'violation') this.#lose(last);
    this.#stop = undefined;
    await this.#flush();
    if (stop === 'no-controls') await this.#within(this.#options.output.write([lineOf(REPLIES.noControls)]));
    return EXIT_BROKEN;
  }

  async #read(): Promise<void> {
    await this.#flush();
    if (this.#stop !== undefined) return;
    const isOver = this.#options.clock.steadyMs() >= this.#endMs;
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
    const leftMs = Math.max(this.#endMs - clock.steadyMs(), LAST_WORDS_MS);
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
        return this.#startMessage(event);
      case 'data':
        return this.#queue?.write(event.bytes);
      case 'message-end':
        return this.#onMessageEnd(event);
      case 'start-tls':
        return this.#startTls();
    }
  }

  async #onRecipient(event: Event<'recipient'>): Promise<void> {
    const { sender, count } = event;
    const { badmailfrom } = this.#controls;
    if (badmailfrom !== undefined && isSenderBad(sender, badmailfrom))
      return this.#refuseRecipient(event, REPLIES.badSender);
    const suffix = this.#options.env['RELAYCLIENT'];
    try {
      if (suffix === undefined && !this.#isForUs(event.address))
        return this.#refuseRecipient(event, REPLIES.notAllowed);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#stop = 'no-controls';
      return;
    }
    const recipient =
      suffix === undefined ? event.address : concatBytes([event.address, Buffer.from(suffix)]);
    const outcome = await this.#options.checkRecipient?.(recipient, sender, count).catch(() => CHECK_FAILED);
    if (outcome === undefined || outcome.letter === 'K') this.#session.decide(REPLIES.ok, recipient);
    else this.#refuseRecipient(event, refusalReply(outcome, 550));
  }

  #refuseRecipient({ address: recipient, sender }: Event<'recipient'>, reply: SmtpReply): void {
    this.#options.tell?.({ type: 'recipient-refused', recipient, sender, reply });
    this.#session.decide(reply);
  }

  /** @throws SystemError when that cannot be found out */
  #isForUs(recipient: Uint8Array): boolean {
    const { rcpthosts } = this.#controls;
    const { isOwnRecipient } = this.#options;
    if (rcpthosts === undefined && isOwnRecipient !== undefined) return isOwnRecipient(recipient);
    return isRecipientAllowed(recipient, rcpthosts, (key) => this.#isInMoreRcpthosts(key));
  }

  #isInMoreRcpthosts(key: Uint8Array): boolean {
    this.#moreRcpthosts ??= openMoreRcpthosts(this.#options.home);
    return this.#moreRcpthosts.find(key) !== undefined;
  }

  async #startMessage(event: Event<'message-start'>): Promise<void> {
    const reply = await this.#openQueue(event);
    if (reply.code >= 400) this.#options.tell?.({ type: 'message-refused', envelope: undefined, reply });
    this.#session.decide(reply);
  }

  async #openQueue(event: Event<'message-start'>): Promise<SmtpReply> {
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

  async #onMessageEnd(event: Event<'message-end'>): Promise<void> {
    const { envelope } = event;
    const reply = this.#session.decide(await this.#finishMessage(event));
    if (reply.code >= 400) this.#options.tell?.({ type: 'message-refused', envelope, reply });
  }

  async #finishMessage({ envelope, dsn, isRefused }: Event<'message-end'>): Promise<SmtpReply> {
    const queue = this.#queue;
    this.#queue = undefined;
    if (queue === undefined) throw new Error('Cannot queue a message: its start was never seen');
    if (isRefused) {
      await queue.abort();
      // The session says why.
      return REPLIES.noQueue;
    }
    const result = await queue.finish(envelope, dsn).catch(() => undefined);
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
      this.#session.decide(REPLIES.noTls);
      return;
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
