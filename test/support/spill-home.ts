// A null client that keeps mail while no server takes it, for tests with its real programs.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programUnderTest, ROOT } from './client-vectors.ts';

/** How a program ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a program, beside its words. */
export interface RunOptions {
  readonly input?: string;
  readonly uid?: number;
  /** Blocks of 512 bytes that a file may have. */
  readonly fileBlocksMax?: number;
}

/** See the head of this file. Every user of the host may send. */
export class SpillHome {
  readonly path = mkdtempSync(join(tmpdir(), 'spill-home-'));
  readonly folder = join(this.path, 'spill');

  constructor(servers: string) {
    chmodSync(this.path, 0o755);
    mkdirSync(join(this.path, 'control'));
    mkdirSync(this.folder);
    chmodSync(this.folder, 0o1777);
    this.control('me', 'laptop.example');
    this.control('spilldir', 'spill');
    this.control('qmqpservers', servers);
  }

  control(name: string, value: string): void {
    writeFileSync(join(this.path, 'control', name), `${value}\n`);
  }

  /** Sends a message to box@hub.example. */
  sendmail(text: string, options: Omit<RunOptions, 'input'> = {}): Ended {
    // The installation that is under test is for nobody else.
    const program = options.uid === undefined ? programUnderTest('sendmail') : join(ROOT, 'bin/sendmail');
    return this.run(program, ['box@hub.example'], { ...options, input: text });
  }

  flush(words: readonly string[] = [], options: RunOptions = {}): Ended {
    return this.run(join(ROOT, 'bin/mini-qmail'), ['flush', ...words], options);
  }

  /** Runs a program to its end, beside everything else that this process does not do meanwhile. */
  run(program: string, words: readonly string[], { input = '', uid, fileBlocksMax }: RunOptions): Ended {
    const limit = fileBlocksMax === undefined ? '' : `ulimit -f ${fileBlocksMax}; `;
    return spawnSync('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', program, ...words], {
      env: this.#environment(),
      input,
      encoding: 'latin1',
      ...(uid !== undefined && { uid, gid: uid }),
    });
  }

  /** Starts a flush. */
  startFlush(words: readonly string[] = []): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(join(ROOT, 'bin/mini-qmail'), ['flush', ...words], {
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('latin1').on('data', (text: string) => (said.stdout += text));
    child.stderr.setEncoding('latin1').on('data', (text: string) => (said.stderr += text));
    const ended = new Promise<Ended>((resolve) => {
      child.on('close', (status) => resolve({ status, ...said }));
    });
    return { child, ended };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #environment() {
    return { PATH: '/usr/local/bin:/usr/bin:/bin', QMAILHOME: this.path, USER: 'joe' };
  }
}
