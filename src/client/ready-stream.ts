// What a connection must be before a request goes over it: the socket itself, or what protects it.

import type { Socket } from 'node:net';

/** A connection that is ready for a request. */
export interface ReadyStream {
  /** The socket, or a TLS socket around it; destroying it ends both. */
  readonly stream: Socket;
  /**
   * Whether an error that came after the whole request was written proves that the server has taken nothing: with TLS 1.3 a
   * server refuses a certificate only then. Without this function no error does.
   */
  readonly provesRefusal?: (error: Error) => boolean;
  /** An error in words for people, if it has better ones than its own. */
  readonly explain?: (error: Error) => string;
}
