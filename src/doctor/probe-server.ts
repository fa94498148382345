// Finds out whether a QMQP server would take mail from this host, without sending any. Invariant: no server can take what is sent
// here for a message. It is one byte that no request begins with, upon which a server of QMQP closes the connection; a line
// with `hub` gets a whole request without recipients whose sender is too long for any qmail, which is refused with words.
// A server whose rules deny this host closes at once, before anything is sent. Source: https://cr.yp.to/proto/qmqp.html,
// the qmail-qmqpd manual page.

import type { X509Certificate } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import type { ReadyStream } from '../client/ready-stream.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { encodeNetstring } from '../core/bytes/netstring.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { encodeQmqpRequest } from '../core/protocol/qmqp/client-session.ts';
import { errorText } from '../host/error-text.ts';
import { errorCode, reasonOf } from '../host/system-error.ts';
import { within } from './deadline.ts';

/** What came of it; times in milliseconds. */
export type ProbeResult =
  | {
      readonly kind: 'takes-mail';
      readonly connectMs: number;
      /** What the server has shown. */
      readonly certificate?: X509Certificate;
    }
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** It closed before anything was sent. */
  | { readonly kind: 'closed-at-once' }
  /** It refused with those words, in its own reply. */
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'not-qmqp'; readonly text: string }
  | { readonly kind: 'silent' }
  | { readonly kind: 'tls-failed'; readonly reason: string };

/** Protects a connection as the line of the server asks for. @throws Error that says why it cannot */
export type Secure = (socket: Socket, server: ServerAddress) => Promise<ReadyStream>;

/** Limits of time, ms; tests have shorter ones. */
export interface ProbeTimes {
  readonly connectMs: number;
  /** For how long a server that denies us may take to close. */
  readonly quietMs: number;
  readonly answerMs: number;
}

/** Together well below the time that the doctor may take. */
export const PROBE_TIMES: ProbeTimes = { connectMs: 4000, quietMs: 800, answerMs: 4000 };

const SENDER_TOO_LONG = 1000;
const NO_REQUEST = bytesOf('x');
const RECEIVED_MAX = 4096;
/** What our hub and qmail-qmqpd say to that sender. */
const SENDER_REFUSED = /#5\.1\.3/;
/** What Postfix says to something that is no request; a host that may not send is told so before. */
const COMPLAINT = /format|netstring/;

/** Tries one address of a server. Never rejects. @param host an address; of no use with a socket file */
export async function probeServer(
  server: ServerAddress,
  host: string,
  secure: Secure,
  times: ProbeTimes = PROBE_TIMES,
): Promise<ProbeResult> {
  const socket = connect(server.path === undefined ? { host, port: server.port } : { path: server.path });
  try {
    const startMs = performance.now();
    const failure = await within(connected(socket), times.connectMs, 'no answer');
    if (failure !== undefined) return { kind: 'unreachable', reason: failure };
    const connectMs = performance.now() - startMs;
    if (server.tls === undefined) return await converse({ stream: socket }, server, connectMs, times);
    const late = new Error('no answer to the handshake');
    const secured = await within(secure(socket, server).catch(asError), times.answerMs, late);
    if (secured instanceof Error) return { kind: 'tls-failed', reason: secured.message };
    const result = await converse(secured, server, connectMs, times);
    const certificate = (secured.stream as TLSSocket).getPeerX509Certificate();
    return result.kind === 'takes-mail' && certificate ? { ...result, certificate } : result;
  } finally {
    socket.destroy();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(reasonOf(error));
}

function connected(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(undefined));
    socket.on('error', (error) => {
      const text = errorText(error);
      resolve(text === 'unknown error' ? (errorCode(error) ?? error.message) : text);
    });
  });
}

async function converse(
  { stream, provesRefusal }: ReadyStream,
  server: ServerAddress,
  connectMs: number,
  { quietMs, answerMs }: ProbeTimes,
): Promise<ProbeResult> {
  const reader = new ReplyReader(stream);
  await within(reader.next(), quietMs, undefined);
  if (reader.hasReceived || reader.isClosed) {
    // A server that has something to say may still be saying it.
    await within(reader.end(), quietMs, undefined);
    if (reader.text !== '') return unasked(reader.text);
    const isRefused = reader.error !== undefined && provesRefusal?.(reader.error) === true;
    if (isRefused) return { kind: 'tls-failed', reason: 'it refuses the certificate of this host' };
    return { kind: 'closed-at-once' };
  }
  stream.write(probeFor(server));
  await within(reader.end(), answerMs, undefined);
  const { text } = reader;
  if (text === '' && !reader.isClosed) return { kind: 'silent' };
  if (text === '') return { kind: 'takes-mail', connectMs };
  const reply = replyOf(text);
  if (reply === undefined) return { kind: 'not-qmqp', text: headOf(text) };
  const expected = server.hub === undefined ? COMPLAINT : SENDER_REFUSED;
  const isExpected = reply.startsWith('D') && expected.test(reply);
  return isExpected ? { kind: 'takes-mail', connectMs } : { kind: 'refused', text: reply };
}

function probeFor({ hub, gzip }: ServerAddress): Uint8Array {
  if (hub === undefined) return NO_REQUEST;
  const sender = bytesOf('x'.repeat(SENDER_TOO_LONG));
  const request = Buffer.concat(encodeQmqpRequest([bytesOf('\n')], { sender, recipients: [] }));
  return gzip === true ? gzipSync(request) : request;
}

function unasked(text: string): ProbeResult {
  const reply = replyOf(text);
  return reply === undefined ? { kind: 'not-qmqp', text: headOf(text) } : { kind: 'refused', text: reply };
}

/** The content of a reply that is a netstring, or undefined. */
function replyOf(text: string): string | undefined {
  const colon = text.indexOf(':');
  const content = text.slice(colon + 1, -1);
  const isReply = colon > 0 && textOf(encodeNetstring(bytesOf(content))) === text && /^[KZD]/.test(content);
  return isReply ? content : undefined;
}

function headOf(text: string): string {
  return text.split('\n', 1)[0]!.trim().slice(0, 60);
}

/** Collects what a server sends. */
class ReplyReader {
  text = '';
  isClosed = false;
  error: Error | undefined;
  #wake = (): void => {};

  constructor(stream: Socket) {
    stream.on('data', (bytes: Buffer) => {
      if (this.text.length < RECEIVED_MAX) this.text += bytes.toString('latin1');
      this.#wake();
    });
    stream.on('error', (error) => {
      this.error ??= error;
    });
    for (const event of ['end', 'close'])
      stream.on(event, () => {
        this.isClosed = true;
        this.#wake();
      });
  }

  get hasReceived(): boolean {
    return this.text !== '';
  }

  /** Resolves with the next thing that happens. */
  next(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Resolves when the server has closed, or a whole reply is there. */
  async end(): Promise<void> {
    while (!this.isClosed && replyOf(this.text) === undefined) await this.next();
  }
}
