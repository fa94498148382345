// Becomes another program: same process, same descriptors.

import { closeSync, openSync } from 'node:fs';
import { isClosedAtStart } from './closed-descriptor.ts';
import type { Environment } from './raw-arguments.ts';

/** Becomes the program at `path`, same process and descriptors; returns, with the reason, only if that cannot be done. */
export function become(path: string, args: readonly Uint8Array[], env: Environment): unknown {
  // Node warns on standard error that execve is experimental; the caller expects the program's own words there only.
  process.emitWarning = () => {};
  try {
    if (isClosedAtStart(0)) makeInputUnreadable();
    process.execve?.(path, [path, ...args.map((word) => Buffer.from(word).toString())], env.strings);
  } catch (error) {
    return error;
  }
  return undefined;
}

/**
 * A closed standard input must not look like an empty one to the program, or it would send an empty message. Node
 * cannot execute a program with descriptor 0 closed; on one that is open for writing only, reads fail in the same way.
 */
function makeInputUnreadable(): void {
  closeSync(0);
  openSync('/dev/null', 'w');
}
