// The other end of deliveries: an SMTP server in a process of its own that keeps count, see sink-process.ts.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from '../../test/support/client-vectors.ts';

/** What a sink has taken since it was started. */
export interface SinkCounts {
  readonly messages: number;
  readonly recipients: number;
  /** How often each number was delivered to, from 0 on. */
  readonly delivered: Uint8Array;
  /** How often a bounce for each number came. */
  readonly bounced: Uint8Array;
}

/** A running sink. */
export class Sink {
  /** One for each address that it was started with. */
  readonly ports: readonly number[];
  readonly pid: number;
  readonly #child: ChildProcess;
  #calls = 0;

  private constructor(child: ChildProcess, ports: readonly number[]) {
    this.#child = child;
    this.pid = child.pid!;
    this.ports = ports;
  }

  /** Listens on these addresses of this machine. */
  static start(...hosts: readonly string[]): Promise<Sink> {
    return Sink.startBy([], ...hosts);
  }

  /** The same by a command that runs another, whose words stand before it. */
  static async startBy(command: readonly string[], ...hosts: readonly string[]): Promise<Sink> {
    const path = join(ROOT, 'bench/support/sink-process.ts');
    const [execPath = '', ...execArgv] = [...command, process.execPath];
    const child = fork(path, hosts, { execPath, execArgv, serialization: 'advanced', stdio: 'inherit' });
    const [{ ports }] = (await once(child, 'message')) as [{ ports: number[] }];
    return new Sink(child, ports);
  }

  /** Resolves when so many recipients were taken in all. One at a time. */
  async until(recipients: number): Promise<void> {
    await this.#ask({ until: recipients });
  }

  /** @param numbers how many of the numbers are wanted, from 0 on */
  async counts(numbers = 0): Promise<SinkCounts> {
    return (await this.#ask({ counts: numbers })) as unknown as SinkCounts;
  }

  async stop(): Promise<void> {
    if (!this.#child.connected) return;
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }

  #ask(question: object): Promise<{ call: number }> {
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      const hear = (answer: { call: number }) => {
        if (answer.call !== call) return;
        this.#child.off('message', hear);
        this.#child.off('exit', end);
        resolve(answer);
      };
      const end = () => reject(new Error('the sink has ended'));
      this.#child.on('message', hear);
      this.#child.on('exit', end);
      this.#child.send({ call, ...question });
    });
  }
}
