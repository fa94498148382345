// Whether an interpreter can run the programs, and whether it takes the code caches of their build: V8 takes only its own.

import { spawnSync } from 'node:child_process';
import { SetupRefusal } from './setup-refusal.ts';

const MAJOR_MIN = 24;
const CHECK_MAX_MS = 10_000;

/** Checks a Node that the caller has named. @returns whether it has the V8 that runs now @throws SetupRefusal */
export function checkInterpreter(path: string): boolean {
  if (!path.startsWith('/')) throw new SetupRefusal(`--node ${path}: give an absolute path`);
  const { error, status, stdout } = spawnSync(
    path,
    ['-p', 'process.versions.node + " " + process.versions.v8'],
    {
      encoding: 'utf8',
      timeout: CHECK_MAX_MS,
      env: {},
    },
  );
  const reason = error?.message ?? `it ended with ${status}`;
  const match = /^(\d+)\S* (\S+)\n$/.exec(stdout ?? '');
  if (match === null)
    throw new SetupRefusal(`--node ${path} cannot be run as Node (${reason}); give another`);
  if (Number(match[1]) < MAJOR_MIN) {
    throw new SetupRefusal(`--node ${path} is Node ${stdout.split(' ')[0]}; ${MAJOR_MIN} or later is needed`);
  }
  return match[2] === process.versions.v8;
}
