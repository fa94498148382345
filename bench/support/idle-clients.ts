// Very many clients of this machine that connect, perhaps say something, and then wait; and what that costs their server.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { residentBytes } from './process-use.ts';

const AT_A_TIME = 100;
const ADDRESSES = 5;

/** Clients that wait. */
export interface IdleClients {
  readonly count: number;
  /** What each says first; nothing if empty. */
  readonly words: string;
  /** Whether the server speaks first, and is waited for. */
  readonly isGreeted: boolean;
}

/**
 * Opens the connections, then one more that the server must take as well.
 * @returns resident megabytes of the process that serves them, while all are open
 */
export async function idleMegabytes(port: number, pid: number, clients: IdleClients): Promise<number> {
  const sockets: Socket[] = [];
  const open = async (serial: number) => {
    // A port number serves once for each address.
    const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (serial % ADDRESSES)}` });
    sockets.push(socket);
    await once(socket, clients.isGreeted ? 'data' : 'connect');
    socket.on('error', () => {});
    if (clients.words !== '') socket.write(clients.words);
  };
  try {
    for (let i = 0; i < clients.count; i += AT_A_TIME)
      await Promise.all(
        Array.from({ length: Math.min(AT_A_TIME, clients.count - i) }, (_, k) => open(i + k)),
      );
    await open(0);
    const closed = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
    if (closed > 0) throw new Error(`server has closed ${closed} of ${sockets.length} connections`);
    return residentBytes(pid) / (1 << 20);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Prints what they take beside the budget of 250 MB. */
export function printIdle(of: string, { count }: IdleClients, megabytes: number): void {
  const isMet = megabytes < IDLE_MAX_MB ? 'met' : 'NOT MET';
  console.log(
    `  ${count} idle connections of ${of}: ${megabytes.toFixed(0)} MB, budget < ${IDLE_MAX_MB}, ${isMet}`,
  );
}

const IDLE_MAX_MB = 250;
