// Where the programs to install come from: the build of a checkout, or another installation. Each program is a few files
// beside each other that name each other, so that they run from any folder and need no package.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HUB_PROGRAMS, WORKERS } from '../../scripts/programs.mjs';

/** Bundles, manual pages and interpreter of what runs now. */
export interface BuiltPrograms {
  /** Folder of the bundles. */
  readonly folder: string;
  /** Manual pages: name with section to path. */
  readonly pages: { readonly [name: string]: string };
  /** Prefix if the folder is part of an installation. */
  readonly installedIn: string | undefined;
  /** The interpreter that runs now, links resolved. */
  readonly interpreter: string;
}

/** A file that a program is made of, by its name in the folder of bundles. */
export interface ProgramFiles {
  /** What the launcher runs. */
  readonly start: string;
  /** All files, in an order in which they can be put in place under a running program. */
  readonly all: readonly string[];
  /** Those that only the V8 that made them takes. */
  readonly caches: readonly string[];
}

/** Finds everything from the path of the bundle that runs. */
export function findBuiltPrograms(bundle: string, interpreter: string): BuiltPrograms {
  const folder = dirname(bundle);
  const installedIn = existsSync(join(folder, 'install.json')) ? dirname(dirname(folder)) : undefined;
  return { folder, pages: findPages(join(installedIn ?? dirname(folder), 'man')), installedIn, interpreter };
}

/** A checkout has its pages in one folder, an installation one folder for each section. */
function findPages(folder: string): { [name: string]: string } {
  if (!existsSync(folder)) return {};
  const pages: { [name: string]: string } = {};
  for (const name of readdirSync(folder).sort()) {
    if (/^man\d$/.test(name)) Object.assign(pages, findPages(join(folder, name)));
    else if (/\.[1-8]$/.test(name)) pages[name] = join(folder, name);
  }
  return pages;
}

/** Files of a program, or undefined if it has not been built. */
export function filesOfProgram({ folder }: BuiltPrograms, program: string): ProgramFiles | undefined {
  const isLong = HUB_PROGRAMS.includes(program);
  const start = `${program}.${isLong ? 'mjs' : 'cjs'}`;
  if (!existsSync(join(folder, start))) return undefined;
  if (isLong) {
    const workers = Object.keys(WORKERS).map((name) => `${name}.mjs`);
    return { start, all: [...workers.filter((name) => existsSync(join(folder, name))), start], caches: [] };
  }
  // A start file names the bundle and the cache that belong together; both have a hash in their names.
  const named = readFileSync(join(folder, start), 'latin1').match(/\b[\w-]+\.[0-9a-f]{16}\.(?:cjs|cache)\b/g);
  const others = [...new Set(named ?? [])].filter(
    (name) => name.startsWith(`${program}.`) && existsSync(join(folder, name)),
  );
  return { start, all: [...others, start], caches: others.filter((name) => name.endsWith('.cache')) };
}

/** Pages of these programs, their commands and links, and those of formats and overviews, with their folder in a manual. */
export function pagesFor(built: BuiltPrograms, names: readonly string[]): { name: string; path: string }[] {
  return Object.entries(built.pages)
    .filter(([page]) => {
      const name = page.slice(0, -2);
      return /\.[57]$/.test(page) || names.includes(name.startsWith('mini-qmail-') ? 'mini-qmail' : name);
    })
    .map(([page, path]) => ({ name: `man${page.slice(-1)}/${page}`, path }));
}

/**
 * The interpreter of an installation: one that came with the package is copied, one of the system is named.
 * @returns the path that launchers name, and the file to copy there
 */
export function chooseInterpreter(
  built: BuiltPrograms,
  library: string,
  given: string | undefined,
): { path: string; copyOf?: string } {
  if (given !== undefined) return { path: given };
  const { interpreter, folder } = built;
  const isOurs = interpreter.split('/').includes('node_modules') || dirname(interpreter) === folder;
  return isOurs ? { path: `${library}/node`, copyOf: interpreter } : { path: interpreter };
}
