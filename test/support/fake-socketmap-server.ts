// A socketmap server that says what a test wants, on a port of 127.0.0.1.

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';

/** A running server; it reads whole questions only, as tests with few and short ones send them. */
export class FakeSocketmapServer {
  readonly port: number;
  /** Questions so far, as `NAME KEY`. */
  readonly asked: string[] = [];
  connections = 0;
  /** The content of the answer to a question; undefined for none. */
  answer: (question: string) => string | undefined = () => 'OK ';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #wake = (): void => {};

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => this.#read(socket, textOf(bytes)));
    });
  }

  static async start(port = 0): Promise<FakeSocketmapServer> {
    const server = createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new FakeSocketmapServer(server);
  }

  /** Resolves when so many questions have come in all. */
  async untilAsked(count: number): Promise<void> {
    while (this.asked.length < count)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  /** Sends bytes that nobody asked for, or ends all connections. */
  say(text: string | undefined): void {
    for (const socket of this.#sockets) {
      if (text === undefined) socket.end();
      else socket.write(bytesOf(text));
    }
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #read(socket: Socket, text: string): void {
    for (let rest = text; rest !== ''; ) {
      const [head = '', length] = /^(\d+):/.exec(rest) ?? [];
      const end = head.length + Number(length);
      const question = rest.slice(head.length, end);
      rest = rest.slice(end + 1);
      this.asked.push(question);
      const answer = this.answer(question);
      if (answer !== undefined) socket.write(bytesOf(`${answer.length}:${answer},`));
    }
    this.#wake();
  }
}
