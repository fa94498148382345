// Runs a tcpserver, ours or another, as a process, and clients against it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What to start; strings are bytes, one per character. */
export interface TcpserverStart {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
  readonly folder: string;
}

/** A tcpserver that runs, or has ended. */
export interface TcpserverProcess {
  readonly pid: number;
  /** Standard output and error so far. */
  output(): string;
  log(): string;
  /** The port printed for -1. */
  port(): Promise<number>;
  /** Resolves when the log has that many matches. */
  logged(pattern: RegExp, count: number): Promise<void>;
  ended: Promise<number | null>;
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<number | null>;
}

/** Starts a server through a shell, which passes every byte on. */
export function startTcpserver({ program, args, env, folder }: TcpserverStart): TcpserverProcess {
  const variables = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`));
  const script = `exec env -i ${variables.join(' ')} ${quote(program)} ${args.map(quote).join(' ')}`;
  // The script comes by a descriptor because arguments of a process are UTF-8 here.
  const child = spawn('/bin/sh', ['-c', 'eval "$(cat <&3)"'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const [output, log] = [collect(child.stdout), collect(child.stderr)];
  const script3 = child.stdio[3] as import('node:net').Socket;
  script3.on('error', () => {});
  script3.end(Buffer.from(script, 'latin1'));
  const ended = once(child, 'close').then(([exit]) => exit as number | null);
  return {
    pid: child.pid ?? 0,
    output: output.text,
    log: log.text,
    port: async () => {
      while (!output.text().includes('\n')) await output.more();
      return Number.parseInt(output.text(), 10);
    },
    logged: async (pattern, count) => {
      while ((log.text().match(pattern) ?? []).length < count) await log.more();
    },
    ended,
    stop: () => stop(child, ended),
  };
}

async function stop(child: ChildProcess, ended: Promise<number | null>): Promise<number | null> {
  child.kill();
  return await ended;
}

function collect(stream: NodeJS.ReadableStream | null): { text(): string; more(): Promise<unknown> } {
  let text = '';
  let isOver = false;
  const wakes: (() => void)[] = [];
  const wake = () => {
    for (const one of wakes.splice(0)) one();
  };
  stream?.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    wake();
  });
  stream?.on('end', () => {
    isOver = true;
    wake();
  });
  return {
    text: () => text,
    more: () => {
      if (isOver) throw new Error(`The server ended before it said what was awaited: ${text}`);
      return new Promise<void>((resolve) => {
        wakes.push(resolve);
      });
    },
  };
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A client that has connected. */
export interface TcpClient {
  readonly socket: Socket;
  readonly port: number;
  /** Resolves with all bytes that came, when the server has ended its side or reset. */
  received(): Promise<string>;
  /** Ends the sending side, and then like received(). */
  finish(): Promise<string>;
}

/** Connects from an address to a server, and sends something. */
export async function connectClient(
  { from, to, port }: { from: string; to: string; port: number },
  send = '',
): Promise<TcpClient> {
  const socket = connect({ host: to, port, localAddress: from, allowHalfOpen: true });
  const received: Buffer[] = [];
  socket.on('data', (bytes) => received.push(bytes as Buffer));
  await once(socket, 'connect');
  socket.on('error', () => {});
  const over = new Promise<void>((resolve) => {
    socket.on('end', resolve);
    socket.on('close', () => resolve());
  });
  if (send !== '') socket.write(send, 'latin1');
  const all = () => over.then(() => Buffer.concat(received).toString('latin1'));
  return {
    socket,
    port: socket.localPort ?? 0,
    received: all,
    finish: () => {
      socket.end();
      return all();
    },
  };
}
