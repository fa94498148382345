// Folders in which a client keeps something from process to process: what it remembers of silent servers, and mail that no server
// takes at the moment.

import { closeSync } from 'node:fs';
import { findCacheFolder } from '../client/dead-servers.ts';
import { listSpilled, listSpillUsers, openSpillFolder, readSpillSettings } from '../client/spill-folder.ts';
import type { SpillName } from '../core/format/spill-name.ts';
import { reasonOf } from '../host/system-error.ts';
import { type Finding, Findings, plural } from './finding.ts';
import type { Installation } from './installation.ts';

const ROOT = 0;
/** A flush by timer or cron has come by several times until then. */
const LONG_SECONDS = 3600;

/** Looks whether there is a folder to remember silent servers in. */
export function checkCacheFolder({ home, env }: Pick<Installation, 'home' | 'env'>, uid: number): Finding[] {
  const found = new Findings('cache');
  const folder = findCacheFolder({ home, env, uid });
  if (folder !== undefined) found.ok(folder, 'remembers servers that are silent');
  else {
    const seen = 'there is no folder to remember silent servers in: each message waits for them anew';
    found.note(`${home}/cache`, seen, `install -d -m 1777 ${home}/cache`);
  }
  return found.list;
}

/** Looks at mail that waits here, where control/spilldir says that it may. A user sees their own, root everything. */
export function checkSpill(home: string, uid: number, nowMs: number): Finding[] {
  const found = new Findings('spill');
  let path = 'control/spilldir';
  try {
    const settings = readSpillSettings(home);
    if (settings === undefined) return [];
    path = settings.path;
    const users = listSpillUsers(path).filter((one) => uid === ROOT || one === uid);
    const names = users.flatMap((user) => namesOf(path, user));
    judgeSpill(path, names, nowMs, found);
  } catch (error) {
    const remedy = `install -d -m 1777 -o root ${path}, see mini-qmail-flush(8)`;
    found.error(path, `keeps no mail: ${reasonOf(error)}`, remedy);
  }
  return found.list;
}

function namesOf(path: string, uid: number): SpillName[] {
  const folder = openSpillFolder(path, uid);
  if (folder === undefined) return [];
  try {
    return listSpilled(folder);
  } finally {
    closeSync(folder.descriptor);
  }
}

function judgeSpill(path: string, names: readonly SpillName[], nowMs: number, found: Findings): void {
  const refused = names.filter(({ refusedAt }) => refusedAt !== undefined);
  const waiting = names.filter(({ refusedAt }) => refusedAt === undefined);
  const oldest = Math.min(...waiting.map(({ seconds }) => seconds));
  const age = Math.max(0, Math.floor(nowMs / 1000 - oldest));
  const seen = `${plural(waiting.length, 'message')} kept, the oldest for ${plural(Math.floor(age / 60), 'minute')}`;
  if (refused.length > 0) {
    const remedy = 'mini-qmail flush --list shows them, mini-qmail flush --refused tries them again';
    found.warning(path, `${plural(refused.length, 'message')} refused for good`, remedy);
  }
  if (waiting.length === 0) found.ok(path, 'no message waits');
  else if (age < LONG_SECONDS) found.note(path, seen, 'mini-qmail flush');
  else found.warning(path, seen, 'mend the servers, and let a timer or cron run mini-qmail flush');
}
