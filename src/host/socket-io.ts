// A connection of a server in this process as the byte input and output that a session's driver asks for, and its end.
// Invariant: nothing is read before it is asked for and every write waits for the kernel, so a peer that is slow, silent
// or endless costs one buffer. The owner of the socket sets its time limits, and closes it here when the session is over.

import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from './clock.ts';
import { type ByteInput, type ByteOutput, streamInput, streamOutput } from './descriptor-io.ts';

/** What was agreed on when a connection became encrypted. */
export interface TlsFacts {
  /** As OpenSSL names it, such as `TLSv1.3`. */
  readonly version: string;
  /** As OpenSSL names it, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string;
}

/** A connection; `input` and `output` stay the same objects when it becomes encrypted. */
export interface SocketInputOutput {
  readonly input: ByteInput;
  readonly output: ByteOutput;
  /**
   * Makes the connection encrypted, as the server; no read or write may be under way. Undefined when the handshake
   * failed: the connection is of no use then. Bytes that the peer had sent before are taken as part of the handshake.
   */
  startTls(context: SecureContext): Promise<TlsFacts | undefined>;
  /** Whether the connection is gone, because the peer or somebody here has ended it at once. */
  isClosed(): boolean;
  /**
   * Ends the connection so that what was written arrives: input that nobody read would make the kernel reset it, so it is
   * thrown away for up to one second. Resolves when the socket is closed; to do it at once, destroy the socket.
   */
  close(clock: Clock): Promise<void>;
}

const LINGER_MS = 1000;

/**
 * Takes over a connected socket; nobody else may read from it. Accept it with `allowHalfOpen` and, so that nothing is
 * read before a session asks, with `pauseOnConnect`.
 */
export function openSocketInputOutput(socket: Socket): SocketInputOutput {
  let stream = socket;
  let input = streamInput(socket);
  let output = streamOutput(socket);
  return {
    input: { read: () => input.read() },
    output: { write: (parts) => output.write(parts) },
    async startTls(context) {
      socket.removeAllListeners('readable');
      const { TLSSocket } = process.getBuiltinModule('node:tls');
      const secure = new TLSSocket(socket, { isServer: true, secureContext: context });
      stream = secure;
      input = streamInput(secure);
      output = streamOutput(secure);
      const isSecure = await new Promise<boolean>((resolve) => {
        secure.once('secure', () => resolve(true));
        // Before the handshake is done there is nothing to read but the end.
        for (const event of ['readable', 'error', 'close']) secure.once(event, () => resolve(false));
      });
      if (!isSecure) return undefined;
      return { version: secure.getProtocol() ?? '', cipher: secure.getCipher().standardName };
    },
    isClosed: () => socket.destroyed,
    close: (clock) => closeSocket(stream, clock),
  };
}

function closeSocket(stream: Socket, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) {
      resolve();
      return;
    }
    const callOff = clock.after(LINGER_MS, () => stream.destroy());
    stream.once('close', () => {
      callOff();
      resolve();
    });
    stream.removeAllListeners('readable');
    stream.resume();
    stream.end();
  });
}
