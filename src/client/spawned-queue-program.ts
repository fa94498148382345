// The queue program as a child process: message on its descriptor 0, envelope on 1, an optional text back on 6.
// Invariant: the envelope is written only after the message is complete, and its final NUL only by finish(); a caller
// that gives up or dies leaves an incomplete envelope, which queues nothing.
// Node gives a child socket pairs, not pipes, so what it calls the child's standard output can be written to from here.
// Differs: the child has the default action for SIGPIPE, which Node restores, where the original's ignores it.

import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { QUEUE_EXIT, type QueueResult } from '../core/policy/outcome.ts';
import { canEnter } from '../host/invocation.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import type { Environment } from './qmqp-submit.ts';
import type { QueueProgram } from './queue-program.ts';

/** What to start, and where. */
export interface SpawnOptions {
  /** Path of the program; a relative one is relative to `home`, and never searched for. */
  readonly path: string;
  readonly home: string;
  readonly env: Environment;
  /** Whether to give the program a descriptor 6 and read its text. */
  readonly customText: boolean;
}

const CUSTOM_TEXT_DESCRIPTOR = 6;
/** Bytes of the text that anybody looks at. */
const CUSTOM_TEXT_MAX = 255;
/** No process or pipe could be made; everything else that fails at the start is the program's own file. */
const NO_PROCESS = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

type End = number | 'signal' | SystemError;

/**
 * Starts the program. What cannot be executed shows as exit code 120 in the result, a home that cannot be entered as 61.
 * If no process or pipe can be made, finish() rejects with a SystemError.
 */
export function spawnQueueProgram(options: SpawnOptions): QueueProgram {
  if (!canEnter(options.home)) return failedProgram(QUEUE_EXIT.home);
  if (options.path === '') return failedProgram(QUEUE_EXIT.notExecutable);
  try {
    return new SpawnedQueueProgram(startChild(options), options.path);
  } catch (error) {
    return failedProgram(endOfStartError(error, options.path));
  }
}

function startChild({ path, home, env, customText }: SpawnOptions): ChildProcess {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const stdio: ('pipe' | 'inherit' | 'ignore')[] = ['pipe', 'pipe', 'inherit'];
  // From 3 on an ignored descriptor stays closed in the child.
  if (customText) stdio.push('ignore', 'ignore', 'ignore', 'pipe');
  // A name without a slash would be searched for in PATH.
  const file = path.includes('/') ? path : `./${path}`;
  return spawn(file, [], { argv0: path, cwd: home, env, stdio });
}

function endOfStartError(error: unknown, path: string): End {
  if (NO_PROCESS.includes(errorCode(error) ?? '')) return new SystemError('start', path, error);
  return QUEUE_EXIT.notExecutable;
}

/** A program that was never started: takes everything and ends as said. */
function failedProgram(end: End): QueueProgram {
  return {
    write: () => undefined,
    finish: async () => {
      if (end instanceof SystemError) throw end;
      return { exit: end, writeFailed: false, pid: 0 };
    },
    abort: async () => {},
  };
}

class SpawnedQueueProgram implements QueueProgram {
  readonly #pid: number;
  /** Undefined if there were no pipes to be had; `#end` then says so. */
  readonly #message: Writable | undefined;
  readonly #envelope: Writable | undefined;
  readonly #end: Promise<End>;
  readonly #customText: Promise<string> | undefined;
  #writeFailed = false;

  constructor(child: ChildProcess, path: string) {
    this.#pid = child.pid ?? 0;
    this.#end = new Promise((resolve) => {
      child.on('error', (error) => resolve(endOfStartError(error, path)));
      child.on('exit', (code) => resolve(code ?? 'signal'));
    });
    const streams: readonly unknown[] = child.stdio ?? [];
    this.#message = streams[0] as Writable | undefined;
    this.#envelope = streams[1] as Writable | undefined;
    const text = streams[CUSTOM_TEXT_DESCRIPTOR] as Readable | undefined;
    this.#customText = text && readText(text);
    // Whether a write failed is learnt from its own callback. A program that ends without reading resets the connection,
    // which is an error of the stream, but none for a writer whose bytes had all been taken, as with a pipe.
    for (const stream of [this.#message, this.#envelope]) stream?.on('error', () => {});
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    return this.#writeTo(this.#message, bytes);
  }

  async finish(envelope: Uint8Array): Promise<QueueResult> {
    this.#message?.end();
    await this.#writeTo(this.#envelope, envelope);
    return this.#close();
  }

  async abort(): Promise<void> {
    this.#message?.destroy();
    await this.#close().catch(() => {});
  }

  async #close(): Promise<QueueResult> {
    this.#envelope?.end();
    const customText = await this.#customText;
    const end = await this.#end;
    if (end instanceof SystemError) throw end;
    const result = { exit: end, writeFailed: this.#writeFailed, pid: this.#pid };
    return customText === undefined ? result : { ...result, customText };
  }

  /** Undefined when the kernel took all bytes at once; else resolves when they are taken, or lost. */
  #writeTo(stream: Writable | undefined, bytes: Uint8Array): Promise<void> | undefined {
    if (stream === undefined || stream.destroyed) {
      this.#writeFailed = true;
      return undefined;
    }
    const taken = new Promise<void>((resolve) => {
      stream.write(bytes, (error) => {
        if (error) this.#writeFailed = true;
        resolve();
      });
    });
    return stream.writableLength === 0 && !stream.errored ? undefined : taken;
  }
}

async function readText(stream: Readable): Promise<string> {
  let text = '';
  try {
    for await (const chunk of stream) {
      if (text.length < CUSTOM_TEXT_MAX) text += (chunk as Buffer).toString('latin1');
    }
  } catch {
    // What came before the trouble is the text.
  }
  return text;
}
