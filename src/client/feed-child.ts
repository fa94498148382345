// Runs a program with bytes of our own before the message as its standard input, for preline, predate and mailsubj.
// Node gives the program a socket, not a pipe: it reads the same, but cannot be opened by the name /dev/stdin.
// Invariant: a program whose input could not be read to its end is not left to take what it got for a whole message.

import type { ChildProcess } from 'node:child_process';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { type ChildEnd, commandOf } from '../host/child.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { SystemError } from '../host/system-error.ts';

/** What is written without waiting for its success, at the end; a program may ignore that much of its input. */
const LAST_BYTES_MAX = 8192;

/** How feeding ended: as the child did, or with input that could not be copied to it. */
export type FeedEnd = ChildEnd | { readonly notCopied: unknown };

/** What to run, and on what. */
export interface Feeding {
  /** Name or path of the program, and its arguments. */
  readonly words: readonly Uint8Array[];
  readonly env: Environment;
  /** Goes before standard input. */
  readonly preamble: Uint8Array;
  /** Whether a program may end without reading its input, however big that is. */
  readonly mayIgnoreInput: boolean;
}

/**
 * Runs the program to its end. If standard input cannot be read the program is killed; if the program does not take its
 * input, which it must, it is left alone.
 */
export async function feedChild(feeding: Feeding): Promise<FeedEnd> {
  let child: ChildProcess;
  try {
    child = startChild(feeding);
  } catch (error) {
    return { notStarted: error };
  }
  const end = endOf(child);
  if (child.pid === undefined) return end;
  const sink = new ChildInput(child, feeding.mayIgnoreInput);
  try {
    await copyInput(sink, feeding.preamble);
  } catch (error) {
    const isRead = error instanceof SystemError && error.operation === 'read';
    if (isRead) {
      child.kill('SIGKILL');
      await end;
    }
    return { notCopied: error };
  }
  sink.end();
  return end;
}

function startChild({ words, env }: Feeding): ChildProcess {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const { name, args } = commandOf(words);
  return spawn(name, args, { env: env.strings, stdio: ['pipe', 'inherit', 'inherit'] });
}

function endOf(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ notStarted: error }));
    child.on('exit', (code) => resolve(code ?? 'crashed'));
  });
}

/** @throws SystemError of reading, or what writing failed with */
async function copyInput(sink: ChildInput, preamble: Uint8Array): Promise<void> {
  await sink.write(preamble);
  const buffer = new Uint8Array(LAST_BYTES_MAX);
  for (let count = readStandardInput(buffer); count > 0; count = readStandardInput(buffer)) {
    await sink.write(buffer.subarray(0, count));
  }
}

/** The child's standard input, with a buffer before it. */
class ChildInput {
  readonly #child: ChildProcess;
  readonly #mayIgnore: boolean;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  constructor(child: ChildProcess, mayIgnore: boolean) {
    this.#child = child;
    this.#mayIgnore = mayIgnore;
    // Each write tells of its own failure.
    child.stdin?.on('error', () => {});
  }

  /** Takes a copy of the bytes, and passes on what would be too much to keep. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#waitingBytes + bytes.length > LAST_BYTES_MAX) await this.#flush();
    this.#waiting.push(Uint8Array.from(bytes));
    this.#waitingBytes += bytes.length;
  }

  /** Passes on the rest, whether or not anybody reads it. */
  end(): void {
    this.#child.stdin?.end(concatBytes(this.#waiting));
  }

  async #flush(): Promise<void> {
    const bytes = concatBytes(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    const failure = await new Promise<Error | null | undefined>((resolve) => {
      const { stdin } = this.#child;
      if (stdin === null || stdin.destroyed) resolve(brokenPipe());
      else stdin.write(bytes, resolve);
    });
    if (failure && !this.#mayIgnore) throw brokenPipe();
  }
}

/** A socket whose reader is gone may say so by another name. */
function brokenPipe(): Error {
  return Object.assign(new Error('broken pipe'), { code: 'EPIPE' });
}

/** The words `NAME ARGUMENTS…` for a program given by a string. */
export function withName(name: string, args: readonly Uint8Array[]): Uint8Array[] {
  return [bytesOf(name), ...args];
}
