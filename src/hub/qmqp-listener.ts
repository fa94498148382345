// The hub's QMQP listener: the same session as qmail-qmqpd, in front of the durable queue, many at a time in one
// process. A reply of K is written only when the queue's commit has resolved. Knows no protocol: the session does.

import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { encodeNetstring } from '../core/bytes/netstring.ts';
import { parseQueueTrace, QUEUE_TRACE_SIZE_MAX } from '../core/format/queue-trace.ts';
import { receivedByQmqp } from '../core/format/received.ts';
import { formatDate } from '../core/message/date.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import {
  QMQP_SESSION_MS,
  type QmqpServerLimits,
  QmqpServerSession,
} from '../core/protocol/qmqp/server-session.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import type { Accepted, Intake, Queue, Recipient } from '../queue/queue.ts';
import type { ClientVerdict, JudgeClient } from './client-judge.ts';
import type { HostPort } from './host-port.ts';
import { ShortageError } from './intake-guard.ts';
import { type Admitted, QmqpDoor, type QmqpDoorOptions } from './qmqp-door.ts';
import { RequestFingerprint } from './request-fingerprint.ts';
import { createRequestGunzip, GZIP_FIRST_BYTE, GzipFault, type RequestGunzip } from './request-gunzip.ts';
import { StrangerCount } from './stranger-count.ts';

/** What a listener works with. */
export interface QmqpListenerOptions {
  readonly queue: Pick<Queue, 'begin'>;
  /** Puts a recipient of the request into its channel. */
  readonly classify: (address: Uint8Array) => Recipient;
  /** Whether the host of that address may use the hub; whoever may can send anything anywhere. */
  readonly judge: JudgeClient;
  /** Name of this host for the Received field. */
  readonly me: string;
  readonly limits: QmqpServerLimits;
  /** Sessions at a time; further connections are closed at once, and their clients go to the next server. */
  readonly connectionCountMax: number;
  /** A client that sends nothing for so long is sent away; noticed within ten seconds. */
  readonly idleMs: number;
  /** Clients are programs of this host, which put a Received field of their own on top; see {@link parseQueueTrace}. */
  readonly isLocal?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the first bytes of a request are there. */
  readonly onRequest?: (() => void) | undefined;
  /** TLS of this port, and whether it is demanded; without it all is plain. */
  readonly door?: Pick<QmqpDoorOptions, 'tls' | 'demand'> | undefined;
}

const BACKLOG = 1024;
const SWEEP_MS = 10_000;
const DISK_FULL: Outcome = { letter: 'Z', text: 'qq write error or disk full (#4.3.0)' };
const NO_MEMORY: Outcome = { letter: 'Z', text: 'qq out of memory (#4.3.0)' };
/** What a recipient takes in memory beside its address. */
const RECIPIENT_BYTES = 100;
/** What lengths and commas of a request can take beside message and addresses, generously. */
const FRAMING_BYTES = 1 << 20;
/** No netstring is longer. */
const REQUEST_BYTES_MAX = 2_000_000_100;

/** Clients that no address lets in, until they have shown a certificate. */
const STRANGERS = { totalMax: 500, perNetworkMax: 20 };

/** See the head of this file. */
export class QmqpListener {
  readonly #options: QmqpListenerOptions;
  readonly #server: Server;
  readonly #sessions = new Set<QmqpConnection | QmqpDoor>();
  readonly #strangers = new StrangerCount(STRANGERS);
  #callOffSweep: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: QmqpListenerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionCountMax;
  }

  /** Begins to accept. @returns the address in use (a port of 0 picks one) @throws when the address cannot be bound */
  async listen({ host, port }: HostPort): Promise<HostPort> {
    await this.#listen({ host, port });
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? { host, port: bound.port } : { host, port };
  }

  /** Begins to accept every user of this host on a socket file, which must not exist. @throws when it cannot be made */
  listenOnFile(path: string): Promise<void> {
    return this.#listen({ path, readableAll: true, writableAll: true });
  }

  #listen(place: ListenOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...place, backlog: BACKLOG }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) =>
          this.#options.log.write('qmqp.listener-trouble', { reason: error.message }),
        );
        this.#sweepLater();
        resolve();
      });
    });
  }

  /** Accepts nothing more, waits for sessions under way for at most `graceMs`, ends the rest. */
  async close(graceMs: number): Promise<void> {
    this.#callOffSweep?.();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const drained = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#sessions.size === 0) resolve();
    });
    const callOff = this.#options.clock.after(graceMs, () => {
      for (const session of this.#sessions) session.end('hub is stopping');
    });
    // A client that has sent nothing yet can be sent away at once; it will try again.
    for (const session of this.#sessions) if (!session.hasBegun) session.end('hub is stopping');
    await drained;
    callOff();
    await closed;
  }

  #accept(socket: Socket): void {
    const { judge, log, door, isLocal } = this.#options;
    const address = socket.remoteAddress ?? (isLocal ? 'local' : 'unknown');
    const verdict = judge(address);
    if (door !== undefined && (door.demand !== 'nothing' || door.tls.isReady)) {
      this.#letKnock(socket, address, verdict, door);
    } else if (verdict.allow) this.#serve(socket, address, verdict);
    else {
      log.write('qmqp.refused', { ip: address, reason: verdict.reason });
      socket.destroy();
    }
  }

  #letKnock(
    socket: Socket,
    ip: string,
    verdict: ClientVerdict,
    settings: Pick<QmqpDoorOptions, 'tls' | 'demand'>,
  ): void {
    const { clock, log } = this.#options;
    if (!verdict.allow) {
      const isHeard = settings.tls.asksCertificates;
      if (!isHeard || !this.#strangers.take(ip)) {
        log.write('qmqp.refused', { ip, reason: isHeard ? 'too many connections at once' : verdict.reason });
        socket.destroy();
        return;
      }
    }
    const door = new QmqpDoor(
      {
        ...{ socket, ip, verdict },
        onAdmitted: (admitted) => this.#serve(admitted.stream, ip, verdict, admitted),
        onEnd: () => {
          if (!verdict.allow) this.#strangers.give(ip);
          this.#remove(door);
        },
      },
      { ...settings, clock, log },
    );
    this.#sessions.add(door);
  }

  #serve(stream: Socket, ip: string, verdict: ClientVerdict, admitted?: Admitted): void {
    const { limits } = this.#options;
    const databytes = verdict.allow ? verdict.databytes : undefined;
    const options =
      databytes === undefined
        ? this.#options
        : { ...this.#options, limits: { ...limits, messageSizeMax: databytes || undefined } };
    const client = { ip, identity: admitted?.identity, tls: admitted?.tls };
    const session = new QmqpConnection(stream, client, options, () => this.#remove(session));
    this.#sessions.add(session);
    if (admitted?.first !== undefined) session.receive(admitted.first);
  }

  #remove(session: QmqpConnection | QmqpDoor): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#onEmpty?.();
  }

  /** Ends sessions that have lasted an hour, as qmail-qmqpd does, and idle ones. One timer for all: they are many and short. */
  #sweepLater(): void {
    this.#callOffSweep = this.#options.clock.after(SWEEP_MS, () => {
      const nowMs = this.#options.clock.steadyMs();
      for (const session of this.#sessions) {
        const isOver = nowMs - session.startMs > QMQP_SESSION_MS;
        if (isOver || nowMs - session.heardMs > this.#options.idleMs) session.end('timeout');
      }
      this.#sweepLater();
    });
  }
}

/** Who is at the other end. */
interface QmqpClient {
  readonly ip: string;
  readonly identity: string | undefined;
  readonly tls: string | undefined;
}

/** One connection: its socket, session and intake. */
class QmqpConnection {
  readonly startMs: number;
  /** When the client last sent something, steady time. */
  heardMs: number;
  readonly #socket: Socket;
  readonly #ip: string;
  readonly #client: QmqpClient;
  readonly #options: QmqpListenerOptions;
  readonly #session: QmqpServerSession;
  /** What the session's bytes come from: the socket, or what unpacks them. */
  #input: Readable;
  #gunzip: RequestGunzip | undefined;
  /** The request is there, but whether it was packed right is not known yet. */
  #isUnchecked = false;
  #intake: Intake | undefined;
  #fingerprint: RequestFingerprint | undefined;
  #sender: Uint8Array = new Uint8Array(0);
  readonly #recipients: Recipient[] = [];
  /** Bytes that are stored, the Received field included. */
  #size = 0;
  /** The first bytes of a message from this host. */
  #head: Uint8Array = new Uint8Array(0);
  /** Waiting for the queue: events stay in the session. */
  #isBusy = false;
  #isComplete = false;
  hasBegun = false;

  constructor(socket: Socket, client: QmqpClient, options: QmqpListenerOptions, onClose: () => void) {
    const { ip } = client;
    this.#client = client;
    this.#socket = socket;
    this.#input = socket;
    this.#ip = ip.startsWith('::ffff:') ? ip.slice(7) : ip;
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
      this.#options.log.write('qmqp.lost', { ip: this.#ip, reason: `${reason} while ${where}` });
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
      if (this.#gunzip !== undefined && this.#session.refusal !== undefined) {
        this.#refuseEarly();
        return;
      }
      if (event === 'need-input' || event === 'need-decision' || event === 'closed') return;
      switch (event.type) {
        case 'message-start':
          this.#intake = this.#options.queue.begin();
          this.#fingerprint = new RequestFingerprint(event.size);
          this.#size = event.size;
          if (!this.#options.isLocal) this.#writeReceived();
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
          this.#fingerprint?.address(event.address);
          break;
        case 'recipient':
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
  #refuseEarly(): void {
    this.#isComplete = true;
    this.#abort();
    const outcome = this.#session.refusal!;
    this.#logRefusal(outcome);
    this.#socket.end(encodeNetstring(bytesOf(outcome.letter + outcome.text)));
    this.#socket.resume();
  }

  #logRefusal({ letter, text }: Outcome): void {
    this.#options.log.write('refused', { ip: this.#ip, sender: this.#sender, reply: letter + text });
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
    const room = this.#options.isLocal ? QUEUE_TRACE_SIZE_MAX - this.#head.length : 0;
    if (room > 0) this.#head = concatBytes([this.#head, bytes.subarray(0, room)]);
  }

  /** What a program of this host says of itself; nobody else can say whether it is true. */
  #trace(): { uid?: number; pid?: number } {
    return parseQueueTrace(this.#head) ?? {};
  }

  #abort(): void {
    this.#intake?.abort();
    this.#intake = undefined;
    if (this.#gunzip === undefined) return;
    this.#socket.unpipe(this.#gunzip.packed);
    this.#gunzip.packed.destroy();
    this.#gunzip.unpacked.destroy();
  }
}

function destroySocket(socket: Socket): void {
  socket.destroy();
}
