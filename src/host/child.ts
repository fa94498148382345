// Runs another program, found in PATH, on our own descriptors, and waits for it.

import type { Environment } from './raw-arguments.ts';

/** How a child ended: its exit code, or killed by a signal, or not started because of an error. */
export type ChildEnd = number | 'crashed' | { readonly notStarted: unknown };

/** Runs a program with our standard input, output and error; `words` begin with its name or path. */
export function runChild(words: readonly Uint8Array[], env: Environment): ChildEnd {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const [name = '', ...args] = wordStrings(words);
  const { error, status } = spawnSync(name, args, { env: env.strings, stdio: 'inherit' });
  if (error !== undefined) return { notStarted: error };
  return status ?? 'crashed';
}

/** Words as Node wants them for starting a program; bytes that are not UTF-8 are lost. */
export function wordStrings(words: readonly Uint8Array[]): string[] {
  return words.map((word) => Buffer.from(word).toString());
}
