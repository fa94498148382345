// QMQP servers that do what a script says, for tests of clients: each answers every connection by the same steps and
// keeps what it received. A client must get along with every one of them.

import { connect, createServer, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expandBytes, type VectorBytes } from './vector-bytes.ts';

/**
 * One step: `read_all` until the request is complete, `read` so many bytes, `read_slow` to the request's end so many bytes at a
 * time, `send`, `sleep_ms`, `close`, `reset`, `hang` (read and never answer), `hang_noread`, `blackhole` (never accept).
 */
export type ServerStep =
  | readonly ['read_all' | 'close' | 'reset' | 'hang' | 'hang_noread' | 'blackhole']
  | readonly ['read' | 'read_slow' | 'sleep_ms', number]
  | readonly ['send', VectorBytes];

/** A running server. */
export interface FakeServer {
  readonly port: number;
  /** What each connection has sent so far, in order of arrival. */
  readonly received: readonly Buffer[];
  /** Resolves at the next connection; `received` has grown by then. */
  readonly connected: Promise<void>;
  /** Resolves when a `read_all` or `read_slow` has read a request to its end, or all there is of it. */
  readonly requestRead: Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server on that address; port 0 picks one. */
export function startFakeServer(
  host: string,
  port: number,
  steps: readonly ServerStep[],
): Promise<FakeServer> {
  return steps[0]?.[0] === 'blackhole' ? startBlackHole(host, port) : startScripted(host, port, steps);
}

async function startScripted(host: string, port: number, steps: readonly ServerStep[]): Promise<FakeServer> {
  const connections: Connection[] = [];
  const connected = Promise.withResolvers<void>();
  const requestRead = Promise.withResolvers<void>();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    const connection = new Connection(socket);
    connections.push(connection);
    connected.resolve();
    void connection.follow(steps, requestRead.resolve).catch(() => socket.destroy());
  });
  await listen(server, host, port);
  return {
    port: (server.address() as { port: number }).port,
    get received() {
      return connections.map((connection) => connection.received());
    },
    connected: connected.promise,
    requestRead: requestRead.promise,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen({ host, port }, () => resolve());
  });
}

const LENGTH_DIGITS_MAX = 20;

class Connection {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #ended = false;
  #wake = (): void => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async follow(steps: readonly ServerStep[], onRequestRead: () => void): Promise<void> {
    for (const step of steps) {
      if (step[0] === 'read_all') {
        await this.#readWhile(() => !this.#isComplete());
        onRequestRead();
      } else if (step[0] === 'read') {
        const wanted = step[1];
        await this.#readWhile(() => this.#length < wanted, wanted);
      } else if (step[0] === 'read_slow') {
        await this.#readWhile(() => !this.#isComplete(), step[1]);
        onRequestRead();
      } else if (step[0] === 'send') await this.#send(expandBytes(step[1], {}));
      else if (step[0] === 'sleep_ms') await this.#sleep(step[1]);
      else if (step[0] === 'close') this.#close();
      else if (step[0] === 'reset') this.#socket.resetAndDestroy();
      else if (step[0] === 'hang') await this.#readWhile(() => true);
      // hang_noread: the connection stays as it is, paused.
    }
  }

  /** Reads as long as `more` says so and the client has not closed, at most `size` bytes at a time. */
  async #readWhile(more: () => boolean, size?: number): Promise<void> {
    const socket = this.#socket;
    const onReadable = () => this.#wake();
    socket.on('readable', onReadable);
    while (more()) {
      // A read(n) with less than n bytes there gives nothing; what is there must do then.
      const wanted = size === undefined ? undefined : Math.min(size, Math.max(socket.readableLength, 1));
      const bytes: Buffer | null = socket.read(wanted);
      if (bytes !== null) {
        this.#chunks.push(bytes);
        this.#length += bytes.length;
      } else if (this.#ended) break;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
    socket.off('readable', onReadable);
  }

  /** Whether a whole netstring has come. */
  #isComplete(): boolean {
    while (this.#chunks.length > 1 && (this.#chunks[0]?.length ?? 0) < LENGTH_DIGITS_MAX)
      this.#chunks.splice(0, 2, Buffer.concat(this.#chunks.slice(0, 2)));
    const head = this.#chunks[0]?.toString('latin1', 0, LENGTH_DIGITS_MAX) ?? '';
    const colon = head.indexOf(':');
    return colon >= 0 && this.#length >= colon + 1 + Number(head.slice(0, colon)) + 1;
  }

  /** Waits, but not longer than the server runs. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#socket.on('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #send(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  /** Closes as close(2) does: what the client has sent and we have not read makes the kernel reset the connection. */
  #close(): void {
    this.#socket.end(() => this.#socket.destroy());
  }
}

/** A listener that never accepts and whose queue is full, so that the kernel drops every further attempt to connect. */
const BLACK_HOLE = `
const { createServer } = require('node:net');
const { parentPort, workerData } = require('node:worker_threads');
const server = createServer();
server.listen({ ...workerData, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;
/** Linux lets one more connection than the backlog wait. */
const WAITING_CONNECTIONS = 2;

async function startBlackHole(host: string, port: number): Promise<FakeServer> {
  const worker = new Worker(BLACK_HOLE, { eval: true, workerData: { host, port } });
  const actualPort = await new Promise<number>((resolve, reject) => {
    worker.on('message', resolve);
    worker.on('error', reject);
  });
  const fillers = Array.from({ length: WAITING_CONNECTIONS }, () => connect({ host, port: actualPort }));
  await Promise.all(fillers.map((socket) => new Promise((resolve) => socket.on('connect', resolve))));
  for (const socket of fillers) socket.on('error', () => {});
  return {
    port: actualPort,
    received: [],
    connected: new Promise(() => {}),
    requestRead: new Promise(() => {}),
    async stop() {
      for (const socket of fillers) socket.destroy();
      await worker.terminate();
    },
  };
}
