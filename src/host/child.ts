// Runs another program, found in PATH, on our own descriptors, and waits for it.

import type { Environment } from './raw-arguments.ts';

/** How a child ended: its exit code, or killed by a signal, or not started because of an error. */
export type ChildEnd = number | 'crashed' | { readonly notStarted: unknown };

/** Runs a program with our standard input, output and error; `words` begin with its name or path. */
export function runChild(words: readonly Uint8Array[], env: Environment): ChildEnd {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  try {
    const { name, args } = commandOf(words);
    const { error, status } = spawnSync(name, args, { env: env.strings, stdio: 'inherit' });
    if (error !== undefined) return { notStarted: error };
    return status ?? 'crashed';
  } catch (error) {
    return { notStarted: error };
  }
}

/**
 * Words as Node wants them for starting a program; bytes that are not UTF-8 are lost.
 * @throws Error ENOENT for the empty name, which Node would call a bug of ours
 */
export function commandOf(words: readonly Uint8Array[]): { name: string; args: string[] } {
  const [name = '', ...args] = words.map((word) => Buffer.from(word).toString());
  if (name === '') throw Object.assign(new Error('No program has an empty name'), { code: 'ENOENT' });
  return { name, args };
}
