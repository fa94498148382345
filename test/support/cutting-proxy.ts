// A way to a server that is cut when so many bytes have passed, as lines and machines in between are.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** When a connection is cut. */
export interface Cut {
  readonly direction: 'request' | 'reply';
  /** Bytes that pass before. */
  readonly after: number;
  /** Whether both sides see a reset, as of a machine that was switched off, or an end. */
  readonly isReset: boolean;
}

/** A running proxy. */
export interface CuttingProxy {
  readonly port: number;
  /** Stops listening; connections go on until they are cut. */
  close(): void;
}

/** As long as a reply of the hub can get in a test. */
const REPLY = '27:Kok 1000000000 qp 100000000,';

/** All cuts of an exchange whose request is so long, or one in so many if the exchange is long. */
export function everyCut(requestLength: number, replyLength = REPLY.length, step = 1): Cut[] {
  const cuts: Cut[] = [];
  for (const isReset of [false, true]) {
    for (let after = 0; after <= requestLength; after += step)
      cuts.push({ direction: 'request', after, isReset });
    for (let after = 0; after < replyLength; after += step) cuts.push({ direction: 'reply', after, isReset });
  }
  return cuts;
}

/** The cut in words that can be part of a Message-ID. */
export function nameOfCut({ direction, after, isReset }: Cut): string {
  return `${direction}-${String(after).padStart(3, '0')}-${isReset ? 'reset' : 'close'}`;
}

/** Starts a proxy to that port of this host; each connection through it is cut. */
export async function startCuttingProxy(
  port: number,
  { direction, after, isReset }: Cut,
): Promise<CuttingProxy> {
  const cut = (...sockets: Socket[]) => {
    for (const socket of sockets) isReset ? socket.resetAndDestroy() : socket.destroy();
  };
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    const forward = (from: Socket, to: Socket, limit: number) => {
      let left = limit;
      const pass = (bytes: Buffer) => {
        const part = bytes.subarray(0, left);
        left -= part.length;
        to.write(part, () => left === 0 && cut(to, from));
      };
      if (limit === 0) upstream.on('connect', () => cut(to, from));
      from.on('data', pass).on('close', () => to.destroy());
    };
    forward(client, upstream, direction === 'request' ? after : Number.POSITIVE_INFINITY);
    if (direction === 'reply' && after === 0) upstream.on('data', () => cut(client, upstream));
    else forward(upstream, client, direction === 'reply' ? after : Number.POSITIVE_INFINITY);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
