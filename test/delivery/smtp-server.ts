// An SMTP server on 127.0.0.1 that says what a test tells it to: one reply per line that comes in, and one when a message
// has ended. Records every byte that it was sent.

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, type SecureVersion, TLSSocket } from 'node:tls';

/** A reply with its line end, or null to close the connection instead, or `HANG` to stay silent. */
export type ScriptedReply = string | null;

/** The reply to a line, to a message up to its dot, or to the connection itself (undefined). */
export type Reply = (input: string | undefined) => ScriptedReply;

/** Agrees to everything and announces the extensions given. */
export function agree(...extensions: readonly string[]): Reply {
  return (input) => {
    if (input === undefined) return '220 test.example\r\n';
    switch (input.slice(0, 4).toUpperCase()) {
      case 'EHLO':
      case 'LHLO':
        return ['test.example', ...extensions]
          .map((word, i) => `250${i < extensions.length ? '-' : ' '}${word}\r\n`)
          .join('');
      case 'STAR':
        return '220 now\r\n';
      case 'DATA':
        return '354 go ahead\r\n';
      case 'QUIT':
        return null;
      default:
        return '250 ok\r\n';
    }
  };
}

/** Key and certificate in PEM form; with them the server starts TLS after 220 to STARTTLS, or at once. */
export interface TlsFiles {
  readonly key: string;
  readonly cert: string;
  readonly atOnce?: boolean;
  /** `TLSv1.1` and the like, for a server of yesterday. */
  readonly maxVersion?: SecureVersion;
}

/** Where a server listens: an address, or a socket's path; port 0 picks one. */
export interface Place {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** A server that runs until it is closed. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #tls: TlsFiles | undefined;
  #context: SecureContext | undefined;
  /** For each handshake, whether it took up an earlier session. */
  readonly resumed: boolean[] = [];
  /** Bytes received, per connection and without TLS, one character per byte. */
  readonly received: string[] = [];
  /** Messages as they came over the wire, behind DATA, with the dot at their end. */
  readonly messages: string[] = [];

  private constructor(createReply: () => Reply, tls: TlsFiles | undefined) {
    this.#tls = tls;
    this.#server = createServer((socket) => this.#serve(socket, createReply()));
  }

  /** Starts one on a free port: with a list of replies for each connection, or a function that decides. */
  static async start(
    script: readonly ScriptedReply[] | Reply,
    tls?: TlsFiles,
    { host = '127.0.0.1', port = 0, path }: Place = {},
  ): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(() => {
      if (typeof script === 'function') return script;
      const replies = script.values();
      return () => {
        const next = replies.next();
        return next.done === true ? 'HANG' : next.value;
      };
    }, tls);
    const place = path === undefined ? { host, port } : { path };
    await new Promise<void>((resolve) => scripted.#server.listen(place, resolve));
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection from this side, and waits until the last one is gone. */
  async dropConnections(): Promise<void> {
    const sockets = [...this.#sockets];
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
  }

  /** Waits until the clients have ended every connection that is open now. */
  async connectionsClosed(): Promise<void> {
    await Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket, replyTo: Reply): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => this.#sockets.delete(socket));
    const connection = this.received.push('') - 1;
    const talk = this.#tls?.atOnce === true ? this.#secure(socket, this.#tls) : socket;
    this.#converse(talk, replyTo, connection);
    answer(talk, replyTo(undefined));
  }

  #secure(socket: Socket, tls: TlsFiles): TLSSocket {
    const { atOnce, ...files } = tls;
    // Old versions want weak ciphers to be let in.
    const old =
      tls.maxVersion === undefined ? {} : { minVersion: 'TLSv1' as const, ciphers: 'ALL:@SECLEVEL=0' };
    this.#context ??= createSecureContext({ ...files, ...old });
    const secure = new TLSSocket(socket, { isServer: true, secureContext: this.#context });
    secure.on('secure', () => this.resumed.push(secure.isSessionReused()));
    return secure;
  }

  #converse(socket: Socket, replyTo: Reply, connection: number): void {
    let inMessage = false;
    let pending = '';
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      pending += bytes.toString('latin1');
      this.received[connection] += bytes.toString('latin1');
      for (;;) {
        const end = inMessage ? endOfMessage(pending) : pending.indexOf('\n') + 1;
        if (end <= 0) return;
        const input = pending.slice(0, end);
        pending = pending.slice(end);
        if (inMessage) this.messages.push(input);
        const reply = replyTo(input);
        inMessage = !inMessage && input === 'DATA\r\n' && /^[23]/.test(reply ?? '');
        answer(socket, reply);
        if (input === 'STARTTLS\r\n' && reply?.startsWith('220') && this.#tls !== undefined) {
          socket.removeAllListeners('data');
          this.#converse(this.#secure(socket, this.#tls), replyTo, connection);
          return;
        }
      }
    });
  }
}

function answer(socket: Socket, reply: ScriptedReply): void {
  if (reply === null) socket.destroy();
  else if (reply !== 'HANG') socket.write(reply, 'latin1');
}

/** Where the message's end is, behind CR LF . CR LF; 0 if it is not there yet. */
function endOfMessage(text: string): number {
  if (text.startsWith('.\r\n')) return 3;
  const at = text.indexOf('\r\n.\r\n');
  return at < 0 ? 0 : at + 5;
}
