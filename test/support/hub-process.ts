// The hub as a process of its own, and a client that speaks raw QMQP to it.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A folder with control files, removed by the caller. */
export function makeHome(control: Readonly<Record<string, string>> = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'mini-qmail-hub-'));
  mkdirSync(join(home, 'control'));
  for (const [name, content] of Object.entries({ me: 'hub.example\n', ...control })) {
    writeFileSync(join(home, 'control', name), content);
  }
  return home;
}

/** Removes a home. */
export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true });
}

/** In the order in which a hub tells of them. */
const LISTENERS = ['qmqp', 'qmqps', 'smtp', 'lmtp', 'check'];

/** A running `mini-qmail hub`. */
export class HubProcess {
  readonly port: number;
  /** Where it takes QMQP by TLS only; 0 if there is no such port. */
  readonly securePort: number;
  /** Where it answers questions about recipients; 0 if it does not. */
  readonly checkPort: number;
  /** Where it takes SMTP and LMTP; 0 if it does not, or on a socket file. */
  readonly smtpPort: number;
  readonly lmtpPort: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | string>;
  readonly #log: { text: string; listeners: (() => void)[] };

  private constructor(child: ChildProcess, ports: ReadonlyMap<string, number>, log: HubProcess['log']) {
    this.#child = child;
    this.pid = child.pid!;
    const [port = 0, securePort = 0, smtpPort = 0, lmtpPort = 0, checkPort = 0] = LISTENERS.map((name) =>
      ports.get(name),
    );
    this.port = port;
    this.securePort = securePort;
    this.smtpPort = smtpPort;
    this.lmtpPort = lmtpPort;
    this.checkPort = checkPort;
    this.#log = log;
    this.#ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => resolve(signal ?? code ?? -1));
    });
  }

  /**
   * Starts a hub and waits until it accepts. Its log is kept in {@link log}, or goes to a file of that path; port 0 picks one.
   * With `more` options such as `--check 127.0.0.1:0` it picks more of them.
   * @throws Error with what it printed if it ends instead
   */
  static async start(
    home: string,
    logFile?: string,
    qmqpPort = 0,
    more: readonly string[] = [],
  ): Promise<HubProcess> {
    const stderr = logFile === undefined ? 'pipe' : openSync(logFile, 'a');
    const words = ['hub', '--home', home, '--qmqp', `127.0.0.1:${qmqpPort}`, ...more];
    const child = spawn(join(ROOT, 'bin/mini-qmail'), words, { stdio: ['ignore', 'pipe', stderr] });
    if (stderr !== 'pipe') closeSync(stderr);
    const log = { text: '', listeners: [] as (() => void)[] };
    child.stderr?.setEncoding('latin1').on('data', (text: string) => {
      log.text += text;
      for (const listener of [...log.listeners]) listener();
    });
    let printed = '';
    const stdout = child.stdout!.setEncoding('latin1');
    const names = LISTENERS.filter((name) => name === 'qmqp' || more.includes(`--${name}`));
    const lines = names.map((name) => `${name} (?:127\\.0\\.0\\.1:(\\d+)|unix:.*)\\n`);
    const announced = new RegExp(`^${lines.join('')}`);
    const ports = await new Promise<Map<string, number>>((resolve, reject) => {
      stdout.on('data', (text: string) => {
        printed += text;
        const match = announced.exec(printed);
        if (match !== null) resolve(new Map(names.map((name, i) => [name, Number(match[i + 1] ?? 0)])));
      });
      child.on('close', (code) => reject(new Error(`hub ended with ${code}: ${log.text}`)));
      child.on('error', reject);
    });
    return new HubProcess(child, ports, log);
  }

  get log(): { text: string; listeners: (() => void)[] } {
    return this.#log;
  }

  /** Resolves when the log has matched so often. Fails with the whole log when the hub ends first. */
  async untilLogged(pattern: RegExp, times = 1): Promise<void> {
    const matches = new RegExp(pattern, `${pattern.flags}g`);
    let seen = 0;
    let from = 0;
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        matches.lastIndex = from;
        while (seen < times && matches.test(this.#log.text)) {
          seen++;
          from = matches.lastIndex;
        }
        if (seen >= times) done(resolve);
      };
      const done = (settle: () => void) => {
        this.#log.listeners = this.#log.listeners.filter((listener) => listener !== look);
        settle();
      };
      this.#log.listeners.push(look);
      void this.#ended.then(() =>
        done(() => reject(new Error(`hub ended before ${pattern} in ${this.#log.text}`))),
      );
      look();
    });
  }

  /** Sends the signal and waits for the end. @returns exit code or signal */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.#child.kill(signal);
    return this.#ended;
  }
}

/** The request of one message as bytes. */
export function qmqpRequest(message: string, sender: string, recipients: readonly string[]): Buffer {
  const netstring = (text: string) => `${text.length}:${text},`;
  return Buffer.from(netstring([message, sender, ...recipients].map(netstring).join('')), 'latin1');
}

/** Sends bytes and resolves with everything that came back until the connection ended, however it ended. */
export async function exchange(port: number, bytes: Uint8Array): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  let reply = '';
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    reply += text;
  });
  socket.on('error', () => undefined);
  socket.write(bytes);
  // Not once(), which rejects when a reset comes first.
  await new Promise((resolve) => socket.on('close', resolve));
  return reply;
}

/** Sends one message; the reply without its netstring framing. */
export async function submit(
  port: number,
  message: string,
  sender: string,
  ...recipients: string[]
): Promise<string> {
  const reply = await exchange(port, qmqpRequest(message, sender, recipients));
  return reply.slice(reply.indexOf(':') + 1, -1);
}

/** Contents of all messages in the mailbox of an address, in no order. */
export function readMailbox(home: string, domain: string, local: string): string[] {
  const folder = join(home, 'mail', domain, local, 'new');
  try {
    return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
  } catch {
    return [];
  }
}
