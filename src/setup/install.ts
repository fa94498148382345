// Carries out a plan. The record goes first, so that whatever happens afterwards can be undone, and last, when all is there.

import { dirname } from 'node:path';
import { SystemError } from '../host/system-error.ts';
import { type Disk, hashOf, MODE_FILE, sizeOf, unfinishedName } from './disk.ts';
import { type InstallPlan, isChange, type Step } from './install-plan.ts';
import { formatManifest, libraryOf, manifestPath } from './manifest.ts';

/** Does what the plan says. Done anew after an end at any step, it comes to the same. @throws SystemError */
export function carryOut(plan: InstallPlan, disk: Disk, prefix: string): void {
  const steps = plan.steps.filter(isChange);
  const record = formatManifest(plan.after);
  if (steps.length === 0) {
    if (!isWhole(disk, manifestPath(prefix), record)) disk.writeFile(manifestPath(prefix), record, MODE_FILE);
    return;
  }
  checkSpace(steps, disk, prefix);
  const library = libraryOf(prefix);
  // The record needs its folder; nothing else may come before it.
  const isAbove = ({ path }: Step) => path === library || library.startsWith(`${path}/`);
  for (const step of steps.filter(isAbove)) perform(step, disk);
  disk.writeFile(manifestPath(prefix), formatManifest(plan.during), MODE_FILE);
  disk.flushFolderOf(manifestPath(prefix));
  for (const step of steps) if (!isAbove(step)) perform(step, disk);
  // The last record must not be there before what it says.
  const inFolders = new Map(steps.map(({ path }) => [dirname(path), path]));
  for (const path of inFolders.values()) disk.flushFolderOf(path);
  disk.writeFile(manifestPath(prefix), record, MODE_FILE);
}

/** Whether the record says all this, and no run has ended while writing it. */
function isWhole(disk: Disk, path: string, record: Uint8Array): boolean {
  const look = disk.look(path);
  const isBegun = disk.look(unfinishedName(path)).kind !== 'missing';
  return look.kind === 'missing' || (look.kind === 'file' && look.hash === hashOf(record) && !isBegun);
}

function perform({ verb, path, wanted, keptAt }: Step, disk: Disk): void {
  if (verb === 'remove') disk.remove(path);
  if (wanted === undefined) return;
  if (keptAt !== undefined) disk.keep(path, keptAt);
  if (wanted.kind === 'folder') disk.makeFolder(path);
  else if (wanted.kind === 'link') disk.makeLink(path, wanted.target);
  else disk.writeFile(path, wanted.content, wanted.mode);
}

// Room for folders, links and the record, which is written twice.
const OVERHEAD_BYTES = 1 << 20;

/** Says before the first step that the disk is too small, where that can be known. */
function checkSpace(steps: readonly Step[], disk: Disk, prefix: string): void {
  let needed = OVERHEAD_BYTES;
  for (const { wanted } of steps) if (wanted?.kind === 'file') needed += sizeOf(wanted.content);
  const free = disk.freeBytes(dirname(libraryOf(prefix)));
  if (free >= needed) return;
  const mb = (bytes: number) => Math.ceil(bytes / 1e6);
  throw new SystemError('install in', prefix, `${mb(needed)} MB are needed, ${mb(free)} MB are free there`);
}
