// What an installation consists of, in the order in which it is put in place: a program's files before the launcher that names
// them, control files before programs, links from outside at the end. No look at the disk of the installation here.

import { dirname, join } from 'node:path';
import { launcher } from '../../scripts/launcher.mjs';
import { HUB_PROGRAMS } from '../../scripts/programs.mjs';
import { type BuiltPrograms, filesOfProgram, pagesFor } from './built-programs.ts';
import type { ControlWish } from './control-wishes.ts';
import { type Content, MODE_FILE, MODE_PROGRAM } from './disk.ts';
import { libraryOf } from './manifest.ts';
import type { RoleParts } from './roles.ts';
import { SetupRefusal } from './setup-refusal.ts';
import { unitExamples } from './unit-examples.ts';

/** One thing that shall be there. Paths are absolute and those of the finished installation. */
export type Wanted =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: Content;
      readonly mode: number;
      readonly control?: ControlWish;
    };

/** What goes into {@link wantedParts}. */
export interface Layout {
  readonly prefix: string;
  readonly parts: RoleParts;
  readonly controls: readonly ControlWish[];
  /** A path that control/idhost shall be a link to, where many hosts share the prefix. */
  readonly idhostLink?: string | undefined;
  /** A second tree whose queue program is the QMQP client of this one. */
  readonly listPrefix?: string | undefined;
  /** Names outside the prefix that shall lead to its sendmail. */
  readonly sendmailLinks: readonly string[];
  readonly interpreter: { readonly path: string; readonly copyOf?: string };
  /** Whether the interpreter takes the code caches of this build. */
  readonly withCaches: boolean;
}

/** Everything that a layout needs, folders first named where they are first needed. @throws SetupRefusal */
export function wantedParts(layout: Layout, built: BuiltPrograms): Wanted[] {
  const { prefix, listPrefix } = layout;
  const things: Wanted[] = [
    ...libraryFiles(layout, built),
    ...controlFiles(layout),
    ...launchers(layout),
    ...pages(layout, built),
    ...units(layout),
  ];
  if (listPrefix !== undefined) {
    things.push({ kind: 'link', path: `${listPrefix}/bin/qmail-queue`, target: `${prefix}/bin/qmail-qmqpc` });
    // A list manager that finds its qmail by QMAILHOME passes that on, and then it is the QMQP client's home as well.
    things.push({ kind: 'link', path: `${listPrefix}/control`, target: `${prefix}/control` });
  }
  for (const path of layout.sendmailLinks)
    things.push({ kind: 'link', path, target: `${prefix}/bin/sendmail` });
  return withFolders([`${libraryOf(prefix)}/.`, `${prefix}/control/.`], things);
}

function libraryFiles({ prefix, parts, interpreter, withCaches }: Layout, built: BuiltPrograms): Wanted[] {
  const library = libraryOf(prefix);
  const wanted: Wanted[] = [];
  if (interpreter.copyOf !== undefined && parts.programs.length > 0) {
    const content = { copyOf: interpreter.copyOf };
    wanted.push({ kind: 'file', path: interpreter.path, content, mode: MODE_PROGRAM });
  }
  for (const program of parts.programs) {
    const files = filesOfProgram(built, program);
    if (files === undefined) {
      throw new SetupRefusal(
        `${program} is not among the programs in ${built.folder}; build it there or install another role`,
      );
    }
    for (const name of files.all) {
      if (!withCaches && files.caches.includes(name)) continue;
      const content = { copyOf: join(built.folder, name) };
      wanted.push({ kind: 'file', path: `${library}/${name}`, content, mode: MODE_FILE });
    }
  }
  return wanted;
}

function controlFiles({ prefix, controls, idhostLink }: Layout): Wanted[] {
  const wanted = controls.map((control): Wanted => {
    const own = `${prefix}/control/${control.name}`;
    const path = control.name === 'idhost' && idhostLink !== undefined ? idhostLink : own;
    return { kind: 'file', path, content: control.content, mode: MODE_FILE, control };
  });
  if (idhostLink === undefined) return wanted;
  return [...wanted, { kind: 'link', path: `${prefix}/control/idhost`, target: idhostLink }];
}

function launchers({ prefix, parts, interpreter }: Layout): Wanted[] {
  const start = (program: string) =>
    `${libraryOf(prefix)}/${program}.${HUB_PROGRAMS.includes(program) ? 'mjs' : 'cjs'}`;
  const programs = parts.programs.map((program): Wanted => {
    const content = Buffer.from(launcher(interpreter.path, start(program)));
    return { kind: 'file', path: `${prefix}/bin/${program}`, content, mode: MODE_PROGRAM };
  });
  const links = Object.entries(parts.links).map(
    ([name, target]): Wanted => ({ kind: 'link', path: `${prefix}/bin/${name}`, target }),
  );
  return [...programs, ...links];
}

function pages({ prefix, parts }: Layout, built: BuiltPrograms): Wanted[] {
  if (!parts.hasPages) return [];
  return pagesFor(built, [...parts.programs, ...Object.keys(parts.links)]).map(({ name, path }) => ({
    kind: 'file',
    path: `${prefix}/man/${name}`,
    content: { copyOf: path },
    mode: MODE_FILE,
  }));
}

function units({ prefix, parts }: Layout): Wanted[] {
  return unitExamples(prefix, parts.programs).map(({ name, text }) => ({
    kind: 'file',
    path: `${prefix}/share/mini-qmail/${name}`,
    content: Buffer.from(text),
    mode: MODE_FILE,
  }));
}

/** Puts each folder before the first thing in it; those of `early` paths before everything. */
function withFolders(early: readonly string[], things: readonly Wanted[]): Wanted[] {
  const known = new Set<string>();
  const folders = (path: string): Wanted[] => {
    const folder = dirname(path);
    if (folder === path || folder === '/' || known.has(folder)) return [];
    known.add(folder);
    return [...folders(folder), { kind: 'folder', path: folder }];
  };
  return [...early.flatMap(folders), ...things.flatMap((thing) => [...folders(thing.path), thing])];
}
