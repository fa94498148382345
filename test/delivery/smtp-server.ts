// A scripted SMTP server on 127.0.0.1: one reply per line that comes in, and after the reply to DATA the next one when the
// message has ended. Records every byte that it was sent.

import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';

/** A reply, or null to close the connection instead, or `HANG` to stay silent. */
export type ScriptedReply = string | null;

/** A server that runs until it is closed. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes received, per connection, one character per byte. */
  readonly received: string[] = [];

  private constructor(script: readonly ScriptedReply[]) {
    this.#server = createServer((socket) => this.#serve(socket, script));
  }

  /** Starts one on a free port. */
  static async start(script: readonly ScriptedReply[]): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(script);
    await new Promise<void>((resolve) => scripted.#server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket, script: readonly ScriptedReply[]): void {
    const connection = this.received.push('') - 1;
    const replies = script.values();
    let inMessage = false;
    let pending = '';
    this.#sockets.add(socket);
    const reply = (): void => {
      const next = replies.next();
      if (next.done === true || next.value === 'HANG') return;
      if (next.value === null) socket.destroy();
      else socket.write(next.value, 'latin1');
    };
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      this.received[connection] += text;
      pending += text;
      for (;;) {
        const end = inMessage ? endOfMessage(pending) : pending.indexOf('\n') + 1;
        if (end <= 0) return;
        const line = pending.slice(0, end);
        pending = pending.slice(end);
        inMessage = !inMessage && /^DATA\r\n$/i.test(line);
        reply();
      }
    });
    reply();
  }
}

/** Where the message's end is, behind CR LF . CR LF; 0 if it is not there yet. */
function endOfMessage(text: string): number {
  if (text.startsWith('.\r\n')) return 3;
  const at = text.indexOf('\r\n.\r\n');
  return at < 0 ? 0 : at + 5;
}
