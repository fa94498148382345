// Carries out a plan. The record goes first, so that whatever happens afterwards can be undone, and last, when all is there.

import { dirname } from 'node:path';
import { SystemError } from '../host/system-error.ts';
import { type Disk, MODE_FILE, sizeOf } from './disk.ts';
import { type InstallPlan, isChange, type Step } from './install-plan.ts';
import { formatManifest, libraryOf, manifestPath } from './manifest.ts';

/** Does what the plan says. Done anew after an end at any step, it comes to the same. @throws SystemError */
export function carryOut(plan: InstallPlan, disk: Disk, prefix: string): void {
  const steps = plan.steps.filter(isChange);
  if (steps.length === 0) return;
  checkSpace(steps, disk, prefix);
  const library = libraryOf(prefix);
  // The record needs its folder; nothing else may come before it.
  const isAbove = ({ path }: Step) => path === library || library.startsWith(`${path}/`);
  for (const step of steps.filter(isAbove)) perform(step, disk);
  disk.writeFile(manifestPath(prefix), formatManifest(plan.during), MODE_FILE);
  for (const step of steps) if (!isAbove(step)) perform(step, disk);
  disk.writeFile(manifestPath(prefix), formatManifest(plan.after), MODE_FILE);
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
