// One connection of a QMQP client with the hub: the same session as qmail-qmqpd, in front of the durable queue. A reply of K is
// written only when the queue's commit has resolved. Knows no protocol: the session does.

import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { encodeNetstring } from '../core/bytes/netstring.ts';
import { parseQueueTrace, QUEUE_TRACE_SIZE_MAX } from '../core/format/queue-trace.ts';
import { receivedByQmqp } from '../core/format/received.ts';
import { parseSpillReport, SPILL_REPORT_SIZE_MAX, type SpillReport } from '../core/format/spill-report.ts';
import { formatDate } from '../core/message/date.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { type QmqpServerLimits, QmqpServerSession } from '../core/protocol/qmqp/server-session.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { plainIp } from '../host/plain-ip.ts';
import type { Accepted, Intake, Queue, Recipient } from '../queue/queue.ts';
import { ShortageError } from './intake-guard.ts';
import { RequestFingerprint } from './request-fingerprint.ts';
import { createRequestGunzip, GZIP_FIRST_BYTE, GzipFault, type RequestGunzip } from './request-gunzip.ts';

/** What a connection works with. */
export interface QmqpConnectionOptions {
  readonly queue: Pick<Queue, 'begin'>;
  /** Puts a recipient of the request into its channel. */
  readonly classify: (address: Uint8Array) => Recipient;
  /** Name of this host for the Received field. */
  readonly me: string;
  readonly limits: QmqpServerLimits;
  /** Clients are programs of this host, which put a Received field of their own on top; see {@link parseQueueTrace}. */
  readonly isLocal?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the first bytes of a request are there. */
  readonly onRequest?: (() => void) | undefined;
}

const DISK_FULL: Outcome = { letter: 'Z', text: 'qq write error or disk full (#4.3.0)' };
const NO_MEMORY: Outcome = { letter: 'Z', text: 'qq out of memory (#4.3.0)' };
/** What a recipient takes in memory beside its address. */
const RECIPIENT_BYTES = 100;
/** What lengths and commas of a request can take beside message and addresses, generously. */
const FRAMING_BYTES = 1 << 20;
/** Compressed requests at a time: each takes about 100 KB, whatever has come of it. */
const UNPACK_COUNT_MAX = 500;
/** No netstring is longer. */
const REQUEST_BYTES_MAX = 2_000_000_100;

/** Who is at the other end. */
export interface QmqpClient {
  readonly ip: string;
  readonly identity: string | undefined;
  readonly tls: string | undefined;
}

/** One connection: its socket, session and intake. */
export class QmqpConnection {
  static #unpackCount = 0;
  /** When it began, steady time. */
  readonly startMs: number;
  /** When the client last sent something, steady time. */
  heardMs: number;
  readonly #socket: Socket;
  readonly #ip: string;
  readonly #client: QmqpClient;
  readonly #options: QmqpConnectionOptions;
  readonly #session: QmqpServerSession;
  /** What the session's bytes come from: the socket, or what unpacks them. */
  #input: Readable;
  #gunzip: RequestGunzip | undefined;
  /** Nothing is unpacked any more. */
  #isUnpacked = false;
  /** The request is there, but whether it was packed right is not known yet. */
  #isUnchecked = false;
  #intake: Intake | undefined;
  #fingerprint: RequestFingerprint | undefined;
  #sender: Uint8Array = new Uint8Array(0);
  readonly #recipients: Recipient[] = [];
  /** Bytes that are stored, the Received field included. */
  #size = 0;
  /** The first bytes of a message from this host, or of a short one, and how many of them. */
  #head: Uint8Array = new Uint8Array(0);
  #headMax = 0;
  /** What the message says if it is for nobody. */
  #report: SpillReport | undefined;
  /** Waiting for the queue: events stay in the session. */
  #isBusy = false;
  #isComplete = false;
  /** Whether the client has sent something. */
  hasBegun = false;

  constructor(socket: Socket, client: QmqpClient, options: QmqpConnectionOptions, onClose: () => void) {
    const { ip } = client;
    this.#client = client;
    this.#socket = socket;
    this.#input = socket;
    this.#ip = plainIp(ip);
    this.#options = options;
    this.#session = new QmqpServerSession(options.limits);
    this.startMs = options.clock.steadyMs();
    this.heardMs = this.startMs;
    socket.on('data', (bytes: Buffer) => this.receive(bytes));
    socket.on('end', () => {
      if (this.#gunzip === undefined) this.#receiveEnd();
    });
    // A reset tells no more than the close that follows it.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#abort();
      onClose();
    });
  }

  /** Ends the session without a reply. */
  end(reason: string, where = this.#session.where): void {
    if (this.#socket.destroyed) return;
    if (this.hasBegun)
      this.#options.log.write('qmqp.lost', { ...this.#who(), reason: `${reason} while ${where}` });
    this.#abort();
    this.#socket.destroy();
  }

  /** Takes what the client has sent. */
  receive(bytes: Uint8Array): void {
    this.heardMs = this.#options.clock.steadyMs();
    // After the request nothing counts, and nothing of it is kept while the queue decides.
    if (this.#isComplete) return;
    const isFirst = !this.hasBegun;
    if (isFirst) this.#options.onRequest?.();
    this.hasBegun = true;
    if (isFirst && bytes[0] === GZIP_FIRST_BYTE) this.#unpack(bytes);
    else if (this.#gunzip === undefined) this.#take(bytes);
  }

  /** The request is compressed. @param first what of it is there already */
  #unpack(first: Uint8Array): void {
    if (QmqpConnection.#unpackCount === UNPACK_COUNT_MAX) {
      this.#refuseEarly(NO_MEMORY);
      return;
    }
    QmqpConnection.#unpackCount++;
    const { messageSizeMax, addressBytesMax = 0 } = this.#options.limits;
    const sizeMax =
      messageSizeMax === undefined ? REQUEST_BYTES_MAX : messageSizeMax + 2 * addressBytesMax + FRAMING_BYTES;
    const gunzip = createRequestGunzip(sizeMax);
    this.#gunzip = gunzip;
    this.#input = gunzip.unpacked;
    gunzip.unpacked.on('data', (bytes: Uint8Array) => this.#take(bytes));
    gunzip.unpacked.on('end', () => {
      // It ends when it is destroyed, too.
      if (this.#isComplete || this.#socket.destroyed) return;
      if (!this.#isUnchecked) this.#receiveEnd();
      else if (!this.#endExcess()) this.#decide(false);
    });
    gunzip.unpacked.on('error', (error) => {
      this.end(error instanceof GzipFault ? error.message : String(error));
    });
    gunzip.packed.on('error', () => undefined);
    gunzip.packed.write(first);
    this.#socket.pipe(gunzip.packed);
  }

  #take(bytes: Uint8Array): void {
    this.#session.receive(bytes);
    if (!this.#isBusy) this.#advance();
    if (this.#isUnchecked) this.#endExcess();
  }

  /** Nobody packs what is not to be read. @returns whether there was more than a request */
  #endExcess(): boolean {
    const { hasExcess } = this.#session;
    if (hasExcess) this.end('more than a request in a gzip stream');
    return hasExcess;
  }

  #receiveEnd(): void {
    this.#session.receiveEnd();
    if (!this.#isBusy) this.#advance();
  }

  #advance(): void {
    for (;;) {
      const event = this.#session.next();
      const { refusal } = this.#session;
      if (this.#gunzip !== undefined && refusal !== undefined) {
        this.#refuseEarly(refusal);
        return;
      }
      if (event === 'need-input' || event === 'need-decision' || event === 'closed') return;
      switch (event.type) {
        case 'message-start':
          this.#intake = this.#options.queue.begin();
          this.#fingerprint = new RequestFingerprint(event.size);
          this.#size = event.size;
          if (this.#options.isLocal) this.#headMax = QUEUE_TRACE_SIZE_MAX;
          else {
            if (event.size <= SPILL_REPORT_SIZE_MAX) this.#headMax = event.size;
            this.#writeReceived();
          }
          break;
        case 'data':
          this.#noteHead(event.bytes);
          // Kept for a while: what a socket has read is not written to again.
          this.#fingerprint?.message(event.bytes);
          if (this.#write(event.bytes)) return;
          break;
        case 'message-end':
          break;
        case 'sender':
          this.#sender = event.address;
          this.#report = this.#options.isLocal ? undefined : parseSpillReport(this.#head);
          this.#fingerprint?.address(event.address);
          break;
        case 'recipient':
          this.#report = undefined;
          this.#fingerprint?.address(event.address);
          if (this.#intake?.hold?.(event.address.length + RECIPIENT_BYTES) !== false)
            this.#recipients.push(this.#options.classify(event.address));
          break;
        case 'request-end':
          this.#isUnchecked = this.#gunzip !== undefined;
          if (!this.#isUnchecked) this.#decide(event.refused);
          return;
        case 'violation':
          this.end(event.code, event.where);
          return;
      }
    }
  }

  /** @returns whether the rest has to wait */
  #write(bytes: Uint8Array): boolean {
    const written = this.#intake!.write(bytes);
    if (written === undefined) return false;
    this.#isBusy = true;
    this.#input.pause();
    void written.then(() => {
      this.#isBusy = false;
      if (this.#socket.destroyed) return;
      this.#advance();
      if (!this.#isBusy) this.#input.resume();
    });
    return true;
  }

  #decide(isRefused: boolean): void {
    const intake = this.#intake;
    this.#isBusy = true;
    this.#isComplete = true;
    if (isRefused || intake === undefined) {
      this.#abort();
      this.#reply(this.#session.refusal ?? { letter: 'Z', text: 'qq internal bug (#4.3.0)' });
      return;
    }
    if (this.#report !== undefined) {
      this.#noteReport(this.#report);
      return;
    }
    this.#intake = undefined;
    const envelope = { sender: this.#sender, recipients: this.#recipients };
    const fingerprint = this.#fingerprint?.end();
    const accepting =
      fingerprint === undefined
        ? intake.commit(envelope).then((id) => ({ id, isResubmission: false }))
        : intake.commitOnce(envelope, fingerprint);
    accepting.then(
      (accepted) => this.#accepted(accepted),
      (error: unknown) => this.#failed(error),
    );
  }

  /** A client tells what waits on it; nothing of that is queued. */
  #noteReport(report: SpillReport): void {
    const { log, clock } = this.#options;
    this.#abort();
    log.write('client.spill', { ip: this.#ip, identity: this.#client.identity, ...report });
    this.#reply({ letter: 'K', text: `ok ${Math.floor(clock.nowMs() / 1000)} noted` });
  }

  #accepted({ id, isResubmission }: Accepted): void {
    const { log, clock } = this.#options;
    const facts = {
      id,
      ip: this.#ip,
      identity: this.#client.identity,
      tls: this.#client.tls,
      ...this.#trace(),
      sender: this.#sender,
      recipients: this.#recipients.length,
      bytes: this.#size,
      messageId: this.#fingerprint?.messageId,
    };
    if (isResubmission) log.write('qmqp.resubmission', facts);
    else log.write('accepted', facts);
    this.#reply({ letter: 'K', text: `ok ${Math.floor(clock.nowMs() / 1000)} qp ${id}` });
  }

  #failed(error: unknown): void {
    if (error instanceof ShortageError) {
      this.#reply(error.shortage === 'disk' ? DISK_FULL : NO_MEMORY);
      return;
    }
    this.#options.log.write('queue.trouble', { ip: this.#ip, sender: this.#sender, reason: String(error) });
    this.#reply(DISK_FULL);
  }

  #reply(outcome: Outcome): void {
    if (outcome.letter !== 'K') this.#logRefusal(outcome);
    this.#session.decide(outcome);
    const [reply] = this.#session.takeOutput();
    // Nothing is read any more: a client that goes on sending after its request gets what it got from qmail-qmqpd.
    // Destroyed a tick later: inside the callback the stream would still make an error for each socket.
    this.#socket.write(reply!, () => process.nextTick(destroySocket, this.#socket));
  }

  /**
   * Refuses a compressed request before it has come: a megabyte of it may be a gigabyte to unpack. What the client still
   * sends is thrown away as it is, so that the client gets to the reply.
   */
  #refuseEarly(outcome: Outcome): void {
    this.#isComplete = true;
    this.#abort();
    this.#logRefusal(outcome);
    this.#socket.end(encodeNetstring(bytesOf(outcome.letter + outcome.text)));
    this.#socket.resume();
  }

  #logRefusal({ letter, text }: Outcome): void {
    const reply = letter + text;
    this.#options.log.write('refused', { ...this.#who(), sender: this.#sender, reply });
  }

  #who(): { ip: string; identity: string | undefined } {
    return { ip: this.#ip, identity: this.#client.identity };
  }

  #writeReceived(): void {
    const field = receivedByQmqp({
      remoteHost: 'unknown',
      remoteIp: this.#ip,
      remoteInfo: this.#client.identity,
      local: this.#options.me,
      dateText: formatDate(this.#options.clock.nowMs()),
    });
    this.#size += field.length;
    void this.#intake!.write(field);
  }

  #noteHead(bytes: Uint8Array): void {
    const room = this.#headMax - this.#head.length;
    if (room > 0) this.#head = concatBytes([this.#head, bytes.subarray(0, room)]);
  }

  /** What a program of this host says of itself; nobody else can say whether it is true. */
  #trace(): { uid?: number; pid?: number } {
    return parseQueueTrace(this.#head) ?? {};
  }

  #abort(): void {
    this.#intake?.abort();
    this.#intake = undefined;
    if (this.#gunzip === undefined || this.#isUnpacked) return;
    this.#isUnpacked = true;
    QmqpConnection.#unpackCount--;
    this.#socket.unpipe(this.#gunzip.packed);
    this.#gunzip.packed.destroy();
    this.#gunzip.unpacked.destroy();
  }
}

function destroySocket(socket: Socket): void {
  socket.destroy();
}
