// Locks a file against other programs by flock(2), which Node does not have. The lock belongs to the open file and not to
// the process that takes it, so the flock program takes it on a descriptor that it shares with this process.

import type { Environment } from './raw-arguments.ts';
import { errorCode, SystemError } from './system-error.ts';

/** Where the flock program may be besides the places that the caller searches. */
const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * Waits for the only lock on an open file; it lasts until the descriptor is closed.
 * @param waitMs how long at most, ms; 0 for ever
 * @throws SystemError with the operation `lock` if the system refuses, or the time is over (the cause then has the code ETIMEDOUT);
 *   with the operation `run` if the program does not do its work
 */
export function lockFile(descriptor: number, env: Environment, waitMs = 0): void {
  const status = runFlock(descriptor, env, [], waitMs);
  if (status !== 0) throw new SystemError('lock', `descriptor ${descriptor}`, `flock ended with ${status}`);
}

/**
 * Takes the only lock on an open file or folder if nobody has it, without waiting; it lasts until the descriptor is closed.
 * @returns whether the lock is there
 * @throws SystemError with the operation `lock` or `run`, as {@link lockFile} does
 */
export function tryLockFile(descriptor: number, env: Environment): boolean {
  const status = runFlock(descriptor, env, ['-n'], 0);
  if (status > 1) throw new SystemError('lock', `descriptor ${descriptor}`, `flock ended with ${status}`);
  return status === 0;
}

function runFlock(descriptor: number, env: Environment, options: readonly string[], waitMs: number): number {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { PATH = '' } = env.strings;
  const { error, status, signal } = spawnSync('flock', ['-x', ...options, '3'], {
    env: { ...env.strings, PATH: PATH === '' ? USUAL_PATH : `${PATH}:${USUAL_PATH}` },
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
    timeout: waitMs,
    killSignal: 'SIGKILL',
  });
  if (errorCode(error) === 'ETIMEDOUT') throw new SystemError('lock', `descriptor ${descriptor}`, error);
  if (error !== undefined) throw new SystemError('run', 'flock', error);
  if (status === null) throw new SystemError('run', 'flock', `killed by ${signal}`);
  return status;
}
