// What has to be done to be rid of an installation: the record backwards. What is no longer in a state that we left it in is
// somebody else's and stays, and so does every folder that something is left in.

import { type Disk, unfinishedName } from './disk.ts';
import { libraryOf, type Manifest, type ManifestEntry, manifestPath, stateOf } from './manifest.ts';

/** One line of a plan; `keep` changes nothing. */
export interface UninstallStep {
  readonly verb: 'remove' | 'restore' | 'keep';
  readonly path: string;
  readonly note?: string;
  readonly isFolder?: boolean;
  /** Where the file to restore is now. */
  readonly keptAt?: string;
}

/**
 * Compares the record with the disk and decides. The record itself goes last of all files, so that an end at any step can be
 * gone on from.
 * @param force remove programs and pages that somebody has changed, too; control files never
 * @throws SystemError if the disk cannot be read
 */
export function planUninstall(
  manifest: Manifest,
  disk: Disk,
  prefix: string,
  force: boolean,
): UninstallStep[] {
  const entries = [...manifest.entries].reverse();
  const steps: UninstallStep[] = [];
  for (const entry of entries) if (entry.kind !== 'folder') steps.push(...stepsFor(entry, disk, force));
  const unfinished = unfinishedName(manifestPath(prefix));
  if (disk.look(unfinished).kind !== 'missing') steps.push({ verb: 'remove', path: unfinished });
  const gone = new Set(steps.filter(({ verb }) => verb === 'remove').map(({ path }) => path));
  for (const { verb, keptAt } of steps) if (verb === 'restore' && keptAt !== undefined) gone.add(keptAt);
  const library = libraryOf(prefix);
  const folders = entries.filter(({ kind, path }) => kind === 'folder' && !isAbove(path, library));
  const above = entries.filter(({ kind, path }) => kind === 'folder' && isAbove(path, library));
  steps.push(...folderSteps(folders, gone, disk));
  steps.push({ verb: 'remove', path: manifestPath(prefix) });
  gone.add(manifestPath(prefix));
  steps.push(...folderSteps(above, gone, disk));
  return steps;
}

function isAbove(path: string, library: string): boolean {
  return path === library || library.startsWith(`${path}/`);
}

function stepsFor(entry: ManifestEntry, disk: Disk, force: boolean): UninstallStep[] {
  const { path, keptAt } = entry;
  const steps: UninstallStep[] = [];
  const unfinished = unfinishedName(path);
  if (disk.look(unfinished).kind !== 'missing') steps.push({ verb: 'remove', path: unfinished });
  const look = disk.look(path);
  const kept = keptAt === undefined ? 'missing' : stateOf(disk.look(keptAt));
  const isOurs =
    look.kind === 'missing' ||
    entry.states.includes(stateOf(look)) ||
    (force &&
      entry.isControl !== true &&
      (look.kind === 'file' || look.kind === 'link') &&
      kept !== stateOf(look));
  if (isOurs && keptAt !== undefined && kept !== 'missing') {
    return [...steps, { verb: 'restore', path, note: `from ${keptAt}`, keptAt }];
  }
  if (isOurs) return look.kind === 'missing' ? steps : [...steps, { verb: 'remove', path }];
  // Nothing was put there yet: it is the foreign file, under its two names.
  if (keptAt !== undefined && kept === stateOf(look)) return [...steps, { verb: 'remove', path: keptAt }];
  const more = kept === 'missing' ? '' : `; what stood there before is ${keptAt}`;
  return [...steps, { verb: 'keep', path, note: `it was changed since${more}` }];
}

/** Folders, deepest first, that nothing is left in. */
function folderSteps(folders: readonly ManifestEntry[], gone: Set<string>, disk: Disk): UninstallStep[] {
  const deepestFirst = [...folders].sort((a, b) => b.path.split('/').length - a.path.split('/').length);
  const steps: UninstallStep[] = [];
  for (const { path } of deepestFirst) {
    if (disk.look(path).kind !== 'folder') continue;
    const rest = disk.list(path).filter((name) => !gone.has(`${path}/${name}`));
    if (rest.length > 0) {
      const others = rest.length > 1 ? ` and ${rest.length - 1} more` : '';
      steps.push({ verb: 'keep', path, note: `${rest[0]}${others} is in it` });
      continue;
    }
    gone.add(path);
    steps.push({ verb: 'remove', path, isFolder: true });
  }
  return steps;
}

/** Does what the plan says. @throws SystemError */
export function undo(steps: readonly UninstallStep[], disk: Disk): void {
  for (const { verb, path, isFolder, keptAt } of steps) {
    if (verb === 'restore' && keptAt !== undefined) disk.rename(keptAt, path);
    else if (verb === 'remove' && isFolder === true) disk.removeFolder(path);
    else if (verb === 'remove') disk.remove(path);
  }
}
