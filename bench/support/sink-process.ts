// An SMTP server that takes everything as fast as it can and keeps count, as a process of its own; sink.ts starts it and asks it.
// Arguments: the addresses to listen on, a port of each of its own. What it does with a recipient goes by the domain:
// `reject.example` is refused for good, `later.example` for now when it is asked the first time.
//
// A recipient is known by the decimal number in its local part (`u17` is number 17), and each number is counted up to 255: a message
// with a sender is a delivery, one without is a bounce.

import { createServer, type Socket } from 'node:net';

const NUMBERS_MAX = 1 << 24;
const delivered = new Uint8Array(NUMBERS_MAX);
const bounced = new Uint8Array(NUMBERS_MAX);
const asked = new Uint8Array(NUMBERS_MAX);
let messages = 0;
let recipients = 0;
let waiting: { readonly count: number; readonly call: number } | undefined;

const GREETING = '220 sink.example ESMTP\r\n';
const BYE = '221 2.0.0 Bye\r\n';
const ANSWERS: Readonly<Record<string, string>> = {
  EHLO: '250-sink.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n',
  HELO: '250 sink.example\r\n',
  RSET: '250 2.0.0 Ok\r\n',
  NOOP: '250 2.0.0 Ok\r\n',
};
const END = '\r\n.\r\n';

/** One connection: commands and their answers, then data up to its end, and again. */
class Session {
  readonly #socket: Socket;
  #rest = '';
  /** The last bytes of data seen, in which its end may begin; undefined outside data. */
  #tail: string | undefined;
  #isBounce = false;
  #numbers: number[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.write(GREETING);
  }

  #receive(bytes: Buffer): void {
    let text: string | undefined;
    if (this.#tail !== undefined) {
      const tail = this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - END.length));
      const joint = this.#tail + bytes.toString('latin1', 0, END.length);
      const at = joint.indexOf(END);
      const inside = at < 0 ? bytes.indexOf(END, 0, 'latin1') : at - this.#tail.length;
      if (at < 0 && inside < 0) {
        this.#tail = tail.slice(-(END.length - 1));
        return;
      }
      this.#tail = undefined;
      text = bytes.toString('latin1', inside + END.length);
      this.#socket.cork();
      this.#take();
    } else {
      text = bytes.toString('latin1');
      this.#socket.cork();
    }
    this.#rest += text;
    for (let end = this.#rest.indexOf('\r\n'); end >= 0; end = this.#rest.indexOf('\r\n')) {
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 2);
      const answer = this.#answer(line);
      if (answer === BYE) return void this.#socket.end(answer);
      this.#socket.write(answer);
    }
    this.#socket.uncork();
  }

  #answer(line: string): string {
    const verb = line.slice(0, 4).toUpperCase();
    switch (verb) {
      case 'MAIL':
        this.#isBounce = line.startsWith('<>', 10);
        this.#numbers = [];
        return '250 2.1.0 Ok\r\n';
      case 'RCPT':
        return this.#recipient(line);
      case 'DATA':
        if (this.#numbers.length === 0) return '503 5.5.1 no recipients\r\n';
        // A message may be empty: its end may begin with the line end of this command.
        this.#tail = '\r\n';
        return '354 go on\r\n';
      case 'QUIT':
        return BYE;
      default:
        return ANSWERS[verb] ?? '500 5.5.1 what?\r\n';
    }
  }

  #recipient(line: string): string {
    if (line.endsWith('@reject.example>')) return '550 5.1.1 no such user\r\n';
    const [digits = ''] = /\d+/.exec(line) ?? [];
    const number = Number(digits) % NUMBERS_MAX;
    if (line.endsWith('@later.example>') && asked[number] === 0) {
      asked[number] = 1;
      return '450 4.2.0 not now\r\n';
    }
    this.#numbers.push(number);
    return '250 2.1.5 Ok\r\n';
  }

  #take(): void {
    const counts = this.#isBounce ? bounced : delivered;
    for (const number of this.#numbers) if (counts[number]! < 255) counts[number]!++;
    messages++;
    recipients += this.#numbers.length;
    this.#numbers = [];
    this.#socket.write('250 2.0.0 Ok: taken\r\n');
    if (waiting !== undefined && recipients >= waiting.count) {
      process.send!({ call: waiting.call });
      waiting = undefined;
    }
  }
}

process.on('message', (question: { call: number; until?: number; counts?: number }) => {
  const { call, until, counts = 0 } = question;
  if (until !== undefined && recipients < until) waiting = { call, count: until };
  else
    process.send!({
      ...{ call, messages, recipients },
      ...{ delivered: delivered.slice(0, counts), bounced: bounced.slice(0, counts) },
    });
});
process.on('disconnect', () => process.exit(0));

const ports = process.argv.slice(2).map(
  (host) =>
    new Promise<number>((resolve) => {
      const server = createServer((socket) => new Session(socket));
      server.listen({ host, port: 0, backlog: 1024 }, () =>
        resolve((server.address() as { port: number }).port),
      );
    }),
);
process.send!({ call: 0, ports: await Promise.all(ports) });
