// What has to be done to have an installation, decided before anything is done: every thing that shall be there is compared
// with what is there and with the record of what we made. Somebody else's files are never replaced unasked.

import { meansTheSame, showControl } from './control-wishes.ts';
import { type Disk, hashOf, type Look } from './disk.ts';
import type { Manifest, ManifestEntry } from './manifest.ts';
import { libraryOf, stateOf } from './manifest.ts';
import type { Role } from './roles.ts';
import type { Wanted } from './wanted.ts';

/** One line of a plan. Only `create`, `write`, `link`, `replace` and `remove` change anything. */
export interface Step {
  readonly verb: 'create' | 'write' | 'link' | 'replace' | 'remove' | 'keep' | 'refuse' | 'warn';
  readonly path: string;
  readonly note?: string;
  /** What to put there. */
  readonly wanted?: Wanted;
  /** Where to keep what stands there. */
  readonly keptAt?: string;
}

/** What to do, and the records before and after. */
export interface InstallPlan {
  readonly steps: readonly Step[];
  /** While the steps are done: everything may be in its old or in its new state. */
  readonly during: Manifest;
  readonly after: Manifest;
}

/** What the plan is made from, besides what is wanted. */
export interface PlanOptions {
  readonly disk: Disk;
  readonly prefix: string;
  readonly roles: readonly Role[];
  readonly manifest: Manifest | undefined;
  /** The interpreter that the caller has named, to be remembered. */
  readonly node?: string | undefined;
  /** Replace what others have put there, keeping it aside. */
  readonly force: boolean;
  /** Why a foreign file at that path should stay, in words, or undefined. */
  readonly ownerOf: (path: string) => string | undefined;
}

const KEPT_ENDING = '.before-mini-qmail';

/** Compares and decides. @throws SystemError if the disk cannot be read */
export function planInstall(wanted: readonly Wanted[], options: PlanOptions): InstallPlan {
  const known = new Map((options.manifest?.entries ?? []).map((entry) => [entry.path, entry]));
  const steps = wanted.flatMap((thing) => stepsFor(thing, known.get(thing.path), options));
  const left = leftovers(wanted, options, steps.some(isChange));
  steps.push(...left.steps);
  const entries = new Map([...known].filter(([path]) => !left.removed.has(path)));
  for (const [path, entry] of left.superseded) entries.set(path, entry);
  const during = new Map(known);
  for (const step of steps) {
    if (step.wanted === undefined) continue;
    const entry = entryOf(step.wanted, step, known.get(step.path));
    entries.set(step.path, entry);
    const before = known.get(step.path)?.states ?? [];
    during.set(step.path, { ...entry, states: [...new Set([...entry.states, ...before])] });
  }
  const { roles, node } = options;
  return {
    steps,
    during: { roles, node, entries: [...during.values()] },
    after: { roles, node, entries: [...entries.values()] },
  };
}

/** Whether a step changes something. */
export function isChange({ verb }: Step): boolean {
  return verb !== 'keep' && verb !== 'refuse' && verb !== 'warn';
}

function stepsFor(thing: Wanted, entry: ManifestEntry | undefined, options: PlanOptions): Step[] {
  const { path } = thing;
  const look = options.disk.look(path);
  if (thing.kind === 'folder') {
    if (look.kind === 'missing') return [{ verb: 'create', path, wanted: thing }];
    if (options.disk.isFolder(path)) return [];
    return [{ verb: 'refuse', path, note: 'is not a folder; move it away or choose another prefix' }];
  }
  if (look.kind === 'missing')
    return [{ verb: thing.kind === 'link' ? 'link' : 'write', path, wanted: thing }];
  if (look.kind === 'folder' || look.kind === 'other') {
    return [
      { verb: 'refuse', path, note: `is ${look.kind === 'folder' ? 'a folder' : 'no file'}; move it away` },
    ];
  }
  if (thing.kind === 'file' && thing.control !== undefined) return controlSteps(thing, look, entry, options);
  if (stateOf(look) === wantedState(thing)) {
    if (look.kind !== 'file' || thing.kind !== 'file' || look.mode === thing.mode) return [];
    return [{ verb: 'replace', path, note: `its mode is ${look.mode.toString(8)}`, wanted: thing }];
  }
  if (entry?.states.includes(stateOf(look))) return [{ verb: 'replace', path, wanted: thing }];
  return foreignSteps(thing, look, entry, options);
}

function foreignSteps(
  thing: Wanted,
  look: Look,
  entry: ManifestEntry | undefined,
  options: PlanOptions,
): Step[] {
  const { path } = thing;
  const what = look.kind === 'link' ? `a link to ${look.target}` : 'a file';
  const whose =
    entry === undefined ? `${what} that is not mini-qmail's` : `${what} that somebody has changed`;
  const owner = options.ownerOf(path);
  const note = owner === undefined ? whose : `${whose}; ${owner}`;
  if (!options.force)
    return [{ verb: 'refuse', path, note: `is ${note}; --force replaces it and keeps it aside` }];
  const keptAt = `${path}${KEPT_ENDING}`;
  return [{ verb: 'replace', path, note: `${note}; kept as ${keptAt}`, wanted: thing, keptAt }];
}

function controlSteps(
  thing: Wanted & { kind: 'file' },
  look: Look,
  entry: ManifestEntry | undefined,
  { disk, force }: PlanOptions,
): Step[] {
  const { path, control } = thing;
  if (control === undefined) return [];
  const content = disk.read(path);
  const holds = showControl(control.name, content);
  const asked = showControl(control.name, control.content);
  if (meansTheSame(control.name, content, control.content)) return [];
  // Another default than the one that was written at first is no news.
  if (!control.isAsked && entry !== undefined) return [];
  if (!control.isAsked) return [{ verb: 'keep', path, note: `it holds ${holds}` }];
  if (!force)
    return [{ verb: 'refuse', path, note: `holds ${holds}, asked for was ${asked}; --force replaces it` }];
  const note = `it holds ${holds}, now ${asked}`;
  if (entry?.states.includes(stateOf(look))) return [{ verb: 'replace', path, note, wanted: thing }];
  const keptAt = `${path}${KEPT_ENDING}`;
  return [{ verb: 'replace', path, note: `${note}; kept as ${keptAt}`, wanted: thing, keptAt }];
}

function wantedState(thing: Wanted): string {
  if (thing.kind === 'folder') return 'folder';
  return thing.kind === 'link' ? `-> ${thing.target}` : `sha256:${hashOf(thing.content)}`;
}

function entryOf(thing: Wanted, step: Step, before: ManifestEntry | undefined): ManifestEntry {
  const keptAt = step.keptAt ?? before?.keptAt;
  return {
    path: thing.path,
    kind: thing.kind,
    states: thing.kind === 'folder' ? [] : [wantedState(thing)],
    ...(keptAt === undefined ? {} : { keptAt }),
    ...(thing.kind === 'file' && thing.control !== undefined ? { isControl: true } : {}),
  };
}

interface Leftovers {
  readonly steps: Step[];
  readonly removed: Set<string>;
  readonly superseded: Map<string, ManifestEntry>;
}

/**
 * What an earlier build has put into the prefix and this one does not have. Bundles stay until the next upgrade, because a
 * program that was started a moment ago may still have to read its own; everything else goes at once.
 */
function leftovers(wanted: readonly Wanted[], options: PlanOptions, isUpgrade: boolean): Leftovers {
  const { disk, prefix, manifest } = options;
  const names = new Set(wanted.map(({ path }) => path));
  const result: Leftovers = { steps: [], removed: new Set(), superseded: new Map() };
  const folders = ['bin', 'man', 'share/mini-qmail', 'lib/mini-qmail'].map((name) => `${prefix}/${name}/`);
  for (const entry of manifest?.entries ?? []) {
    const { path } = entry;
    if (entry.kind === 'folder' || names.has(path) || !folders.some((folder) => path.startsWith(folder)))
      continue;
    const isBundle = path.startsWith(`${libraryOf(prefix)}/`);
    if (isBundle && !entry.isSuperseded) {
      if (isUpgrade) result.superseded.set(path, { ...entry, isSuperseded: true });
    } else if (isUpgrade || !isBundle) {
      const look = disk.look(path);
      if (look.kind !== 'missing' && !entry.states.includes(stateOf(look))) continue;
      result.removed.add(path);
      result.steps.push({ verb: 'remove', path, note: 'of an earlier version' });
    }
  }
  return result;
}
