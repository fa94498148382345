// Locks a file against other programs by flock(2), which Node does not have. The lock belongs to the open file and not to
// the process that takes it, so the flock program takes it on a descriptor that it shares with this process.

import type { Environment } from './raw-arguments.ts';
import { SystemError } from './system-error.ts';

/** Where the flock program may be besides the places that the caller searches. */
const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Waits for the only lock on an open file; it lasts until the descriptor is closed. @throws SystemError */
export function lockFile(descriptor: number, env: Environment): void {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { PATH = '' } = env.strings;
  const { error, status } = spawnSync('flock', ['-x', '3'], {
    env: { ...env.strings, PATH: PATH === '' ? USUAL_PATH : `${PATH}:${USUAL_PATH}` },
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
  if (error !== undefined) throw new SystemError('run', 'flock', error);
  if (status !== 0) throw new SystemError('lock', `descriptor ${descriptor}`, `flock ended with ${status}`);
}
