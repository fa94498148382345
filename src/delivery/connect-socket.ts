// Connects to an address, or to a socket that is a file, within a time limit; the caller can call it off.

import { connect, type Socket } from 'node:net';
import { isSocketPath } from '../core/policy/route.ts';

/** Connects to an address, or rejects when that fails, takes longer (ETIMEDOUT), or is called off. */
export type Connect = (
  address: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
) => Promise<Socket>;

/** See the head of this file. @param host an address, or the absolute path of a socket, which has no port */
export function connectSocket(
  host: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(isSocketPath(host) ? { path: host } : { host, port });
    const callOff = () => fail(new Error(`Cannot connect to ${host}: called off`));
    const fail = (error: Error) => {
      signal?.removeEventListener('abort', callOff);
      socket.destroy();
      reject(error);
    };
    signal?.addEventListener('abort', callOff);
    socket.setTimeout(timeoutMs, () => {
      const error = new Error(`Cannot connect to ${host}: no answer in ${timeoutMs} ms`);
      fail(Object.assign(error, { code: 'ETIMEDOUT' }));
    });
    socket.once('error', fail);
    socket.once('connect', () => {
      signal?.removeEventListener('abort', callOff);
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
