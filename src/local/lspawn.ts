// hub-lspawn: the helper of the hub that delivers as the users who get the mail, and the only program that may need root for it.
// It takes requests on a socket file of the hub's user, one connection per delivery; see lspawn-delivery.ts for what it does.
// Invariant: as root it makes and removes no file in a folder of the hub's user but as that user.

import { lstatSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { fatalLine } from '../client/fatal.ts';
import { formatAnswer } from '../core/format/local-request.ts';
import { complain } from '../host/blocking-io.ts';
import type { Invocation } from '../host/invocation.ts';
import { lspawnSocketPath, ownLspawnSocketPath } from '../host/lspawn-socket.ts';
import { answersOn } from '../host/socket-probe.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import { deliverLocally, type LspawnSettings } from './lspawn-delivery.ts';
import { ReportPipes } from './lspawn-report-pipe.ts';
import { receiveRequest } from './lspawn-request.ts';

const PROGRAM = 'hub-lspawn';
const USAGE = 'hub-lspawn: usage: hub-lspawn [ child ]\n';
const CONNECTION_COUNT_MAX = 2_000;
/** The first descriptor that systemd hands over. */
const FIRST_DESCRIPTOR = 3;

/**
 * Runs the helper until TERM or, as a child of the hub, the end of its standard input; then the deliveries that run go on to
 * their end. @returns its exit code
 */
export async function runHubLspawn({ args, home, ownBin }: Invocation): Promise<number> {
  const isChild = args[0] === 'child';
  if (args.length > (isChild ? 1 : 0)) {
    complain(USAGE);
    return 100;
  }
  // What a delivery leaves behind is nobody's business but the user's.
  process.umask(0o077);
  const isRoot = process.geteuid?.() === 0;
  try {
    const pipes = await ReportPipes.open();
    try {
      const helper = new Helper({ home, ownBin, pipes, isGuarded: isRoot && !isChild });
      await helper.listen(isChild ? ownLspawnSocketPath(home) : lspawnSocketPath(home), isChild);
      await untilTold(isChild);
      await helper.close();
    } finally {
      pipes.close();
    }
    return 0;
  } catch (error) {
    complain(fatalLine(PROGRAM, [reasonOf(error)]));
    return 111;
  }
}

class Helper {
  readonly #settings: LspawnSettings;
  readonly #server: Server;
  readonly #running = new Set<Promise<void>>();
  /** Whose folder the socket is in. */
  #owner: number | undefined;

  constructor(settings: LspawnSettings) {
    this.#settings = settings;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const run = this.#serve(socket).finally(() => this.#running.delete(run));
      this.#running.add(run);
    });
    this.#server.maxConnections = CONNECTION_COUNT_MAX;
  }

  /** @throws SystemError, or Error if another helper is there */
  async listen(path: string, isChild: boolean): Promise<void> {
    if (process.env['LISTEN_FDS'] === '1' && process.env['LISTEN_PID'] === String(process.pid)) {
      await listening(this.#server, () => this.#server.listen({ fd: FIRST_DESCRIPTOR }), 'descriptor 3');
      return;
    }
    const folder = path.slice(0, path.lastIndexOf('/'));
    this.#owner = isChild ? undefined : ownerOf(folder);
    if (await answersOn(path)) throw new Error(`Cannot listen on ${path}: another hub-lspawn does`);
    await asUser(this.#owner, () => {
      rmSync(path, { force: true });
      return listening(this.#server, () => this.#server.listen(path), path);
    });
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    try {
      const request = await receiveRequest(socket);
      if (request === undefined) return void socket.destroy();
      try {
        socket.end(formatAnswer(await deliverLocally(request, this.#settings)));
      } finally {
        request.close();
      }
    } catch (error) {
      complain(fatalLine(PROGRAM, [reasonOf(error)]));
      socket.destroy();
    }
  }

  /** Takes no more, and waits for the deliveries that run. */
  async close(): Promise<void> {
    // Closing removes the file.
    await asUser(this.#owner, async () => void this.#server.close());
    await Promise.all(this.#running);
  }
}

/** Who the folder belongs to, and will the socket. @throws SystemError */
function ownerOf(folder: string): number {
  try {
    return lstatSync(folder).uid;
  } catch (error) {
    throw new SystemError('find', `${folder}, which the hub makes when it starts`, error);
  }
}

/** Does something with the rights of a user, if we are root. */
async function asUser(uid: number | undefined, act: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0 && uid !== undefined;
  if (isRoot) process.seteuid?.(uid);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

function listening(server: Server, start: () => void, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new SystemError('listen on', what, error)));
    server.once('listening', () => resolve());
    start();
  });
}

/** Says that requests are taken, and waits until no more shall be. */
function untilTold(isChild: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write('ready\n');
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    if (isChild)
      process.stdin
        .on('end', () => resolve())
        .on('error', () => resolve())
        .resume();
  });
}
