// Asks the host at the other end of a connection who has it there, by ident. Never rejects.

import { encodeIdentQuery, IdentReply } from '../core/protocol/ident.ts';
import type { Clock } from './clock.ts';

/** A connection as this end sees it, and how long to wait for the whole answer. */
export interface IdentQuestion {
  readonly localIp: string;
  readonly localPort: number;
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** The ident server's port; 113 unless a test says otherwise. */
  readonly identPort?: number;
}

const IDENT_PORT = 113;

/** What the ident server says, possibly the empty text; undefined if it cannot be reached or says nothing in time. */
export function askIdent(question: IdentQuestion): Promise<Uint8Array | undefined> {
  const { localIp, remoteIp, identPort = IDENT_PORT } = question;
  return new Promise((resolve) => {
    const reply = new IdentReply();
    const net = process.getBuiltinModule('node:net');
    const socket = net.connect({ host: remoteIp, port: identPort, localAddress: localIp, noDelay: true });
    const end = () => {
      callOff();
      socket.destroy();
      resolve(reply.info);
    };
    const callOff = question.clock.after(question.timeoutMs, end);
    socket.on('error', end);
    socket.on('close', end);
    socket.on('connect', () => {
      socket.write(encodeIdentQuery({ remote: question.remotePort, local: question.localPort }));
    });
    socket.on('data', (bytes) => {
      reply.receive(bytes as Uint8Array);
      if (reply.info !== undefined) end();
    });
  });
}
