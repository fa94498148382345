// The line as a proxy for TCP: whatever is read at one end is written at the other when a real line would have brought it.

import { connect, createServer, type Server, type Socket } from 'node:net';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { LineMeter } from './link-meter.ts';
import { type LinkSpeed, ModelConnection } from './link-model.ts';
import { ArrivalQueue } from './link-queue.ts';
import type { SlowLink } from './slow-link.ts';

/** @param obstacle why there is no real line */
export async function openProxyLink(speed: LinkSpeed, obstacle: string): Promise<SlowLink> {
  const meter = new LineMeter(speed);
  const servers: Server[] = [];
  return {
    kind: `modelled by a proxy, because ${obstacle}`,
    host: '127.0.0.1',
    command: [],
    async reach(port) {
      const server = createServer({ allowHalfOpen: true }, (socket) => carry(socket, port, meter, speed));
      await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
      servers.push(server);
      return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
    },
    take: async () => meter.take(),
    started: () => meter.started(),
    async close() {
      for (const server of servers) server.close();
    },
  };
}

/** Joins a client's socket to a server, by the line. */
function carry(client: Socket, port: number, meter: LineMeter, { delayMs }: LinkSpeed): void {
  const clock = SYSTEM_CLOCK;
  meter.note();
  const connection = new ModelConnection(meter, clock.steadyMs());
  // What a client has written by now is in its kernel, and leaves it when the connection is open at this end.
  client.pause();
  client.on('error', () => undefined);
  let server: Socket;
  const toServer = new ArrivalQueue<() => void>(clock, (arrive) => arrive());
  const toClient = new ArrivalQueue<() => void>(clock, (arrive) => arrive());
  toServer.add(connection.serverOpenMs, () => {
    server = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    server.on('error', () => client.destroy());
    join('server', server, () => client, toClient);
  });
  clock.after(connection.clientOpenMs - clock.steadyMs(), () =>
    join('client', client, () => server, toServer),
  );
  const join = (
    from: 'client' | 'server',
    source: Socket,
    target: () => Socket,
    onWay: ArrivalQueue<() => void>,
  ) => {
    let lastMs = 0;
    source.on('data', (bytes: Buffer) => {
      let at = 0;
      for (const arrival of connection.send(from, clock.steadyMs(), bytes.length)) {
        const segment = bytes.subarray(at, at + arrival.bytes);
        onWay.add(arrival.atMs, () => void target().write(segment));
        at += segment.length;
        lastMs = arrival.atMs;
      }
    });
    source.on('end', () => {
      onWay.add(Math.max(lastMs, clock.steadyMs() + delayMs), () => target().end());
    });
    source.resume();
  };
}
