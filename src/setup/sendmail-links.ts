// The names by which the world calls sendmail, and whose they are. On a Debian system a file that belongs to a package comes
// back with the next upgrade of that package, unless it was diverted.

import { spawnSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import type { Disk } from './disk.ts';

/** Both names are compiled into programs. */
export const SENDMAIL_PATHS: readonly string[] = ['/usr/sbin/sendmail', '/usr/lib/sendmail'];

/** The names that have to be made: one that is a link to the other will lead to it anyway. */
export function sendmailLinksToMake(disk: Disk): string[] {
  return SENDMAIL_PATHS.filter((path) => {
    const look = disk.look(path);
    const leadsTo = look.kind === 'link' ? resolve(dirname(path), look.target) : undefined;
    return leadsTo === undefined || leadsTo === path || !SENDMAIL_PATHS.includes(leadsTo);
  });
}

const QUERY_MAX_MS = 10_000;

/** Whose file it is according to dpkg, and what to do about that; undefined if it is no package's or there is no dpkg. */
export function packageAdvice(path: string): string | undefined {
  const { status, stdout } = spawnSync('dpkg-query', ['-S', path], {
    encoding: 'utf8',
    timeout: QUERY_MAX_MS,
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (status !== 0) return undefined;
  // PACKAGE[, PACKAGE]: PATH, and a line of another form where the file is diverted.
  const owner = stdout
    .split('\n')
    .find((line) => line.endsWith(`: ${path}`) && !/^(?:local )?diversion /.test(line));
  if (owner === undefined) return undefined;
  const name = owner.slice(0, -(path.length + 2));
  return `it belongs to the package ${name}, whose next upgrade would put it back: remove that package, or run dpkg-divert --local --rename --add ${path}`;
}
