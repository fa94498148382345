// Pairs of connected sockets: one end for a child's standard output and standard error together, so that what it prints on both
// stays in order, one for us. Node itself makes a pair for each descriptor only. They meet on a socket in a folder that nobody
// else may enter, which is gone once the process listens no longer.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Two ends of one connection. */
export interface ReportPipe {
  /** What the child prints comes out here. */
  readonly ours: Socket;
  /** To be the child's descriptors 1 and 2; end it here once the child has it. */
  readonly theirs: Socket;
}

/** Makes pairs. */
export class ReportPipes {
  readonly #folder: string;
  readonly #server: Server;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, server: Server) {
    this.#folder = folder;
    this.#server = server;
  }

  /** @throws Error of the system */
  static async open(): Promise<ReportPipes> {
    const folder = mkdtempSync(join(tmpdir(), 'lspawn-'));
    const server = createServer({ pauseOnConnect: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(join(folder, 's'), resolve);
    });
    server.unref();
    return new ReportPipes(folder, server);
  }

  /** A new pair. One is made after the other, so that ends that belong together meet. @throws Error of the system */
  pair(): Promise<ReportPipe> {
    const made = this.#last.catch(() => undefined).then(() => this.#connect());
    this.#last = made;
    return made;
  }

  async #connect(): Promise<ReportPipe> {
    const ours = connect(join(this.#folder, 's'));
    const failed = new AbortController();
    try {
      const [[theirs]] = await Promise.all([
        once(this.#server, 'connection', { signal: failed.signal }),
        once(ours, 'connect'),
      ]);
      return { ours, theirs };
    } catch (error) {
      failed.abort();
      throw error;
    }
  }

  /** Makes no more. */
  close(): void {
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
