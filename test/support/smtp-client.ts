// A client that speaks SMTP to a server under test, line by line, and says what it was told.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A connection; replies are whole, with their codes and without line ends, joined by LF. */
export class SmtpClient {
  readonly #socket: Socket;
  #text = '';
  #isOver = false;
  #wake = (): void => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#text += text;
      this.#wake();
    });
    socket.on('error', () => undefined);
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#isOver = true;
        this.#wake();
      });
    }
  }

  /** Connects, takes the greeting and says EHLO. */
  static async connect(port: number): Promise<SmtpClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const client = new SmtpClient(socket);
    await once(socket, 'connect');
    await client.reply();
    await client.command('EHLO client.example');
    return client;
  }

  /** The next reply; empty when the server has ended the connection. */
  async reply(): Promise<string> {
    for (;;) {
      const end = /^\d{3}(?: [^\r\n]*)?\r\n/m.exec(this.#text);
      if (end !== null) {
        const reply = this.#text.slice(0, end.index + end[0].length);
        this.#text = this.#text.slice(reply.length);
        return reply.trimEnd().replaceAll('\r\n', '\n');
      }
      if (this.#isOver) return '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends bytes as they are, one per character. */
  write(bytes: string): void {
    this.#socket.write(bytes, 'latin1');
  }

  /** Sends a line; its reply. */
  command(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return this.reply();
  }

  /** Sends a message whose lines end in LF; the reply to its end, or the first that says that it cannot be sent. */
  async send(sender: string, recipient: string, message: string): Promise<string> {
    for (const line of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, 'DATA']) {
      const reply = await this.command(line);
      if (!/^[23]/.test(reply)) return reply;
    }
    return this.command(`${message.replaceAll(/^\./gm, '..').replaceAll('\n', '\r\n')}.`);
  }

  /** Everything that comes until the server ends the connection. */
  async rest(): Promise<string> {
    while (!this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#text;
  }

  close(): void {
    this.#socket.destroy();
  }
}
