// How a program was started, and where its installation is. The build's launchers run
//   INTERPRETER  BUNDLE  PATH-OF-THE-LAUNCHER-AS-CALLED  ARGUMENTS…
// so argv[2] is what C programs know as argv[0].

import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** What a program knows about its start. */
export interface Invocation {
  /** Path as called, argv[0] of a C program; its last component is {@link calledAs}. */
  readonly path: string;
  /** Last component of the path as called: a program may behave by its name (mailq). */
  readonly calledAs: string;
  /** Arguments after the name, as Node decodes them (UTF-8); see {@link argumentBytes}. */
  readonly args: readonly string[];
  /** Folder of the launcher itself, links resolved: our other programs stand beside it. */
  readonly ownBin: string;
  /** The installation: `$QMAILHOME`, else the folder above {@link ownBin} if it has a `control/`, else /var/qmail. Absolute. */
  readonly home: string;
}

/** Reads the start from the process. */
export function readInvocation(): Invocation {
  const path = process.argv[2] ?? '';
  const ownBin = dirname(realPath(path));
  const home = findHome(ownBin, process.env['QMAILHOME']);
  return { path, calledAs: basename(path), args: process.argv.slice(3), ownBin, home };
}

/** The installation of a program of ours in that folder. @param chosen `$QMAILHOME`, if it is set */
export function findHome(ownBin: string, chosen: string | undefined): string {
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  const above = dirname(ownBin);
  return existsSync(`${above}/control`) ? above : '/var/qmail';
}

/**
 * Whether the file at `path` (HOME/bin/NAME) is one of our own programs, by the name of what it really is: `qmail-qmqpc`
 * when HOME/bin/qmail-queue links to our launcher of that name. A home without a `bin` folder has the programs that stand
 * beside the one that runs. Undefined when it is somebody else's, or nothing.
 */
export function ownProgramAt(path: string, ownBin: string): string | undefined {
  const real = realPath(path);
  if (dirname(real) === ownBin) return basename(real);
  if (existsSync(dirname(path))) return undefined;
  const beside = `${ownBin}/${basename(path)}`;
  return existsSync(beside) ? basename(realPath(beside)) : undefined;
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return resolve(path);
  }
}

/** Whether the folder exists and can be made the working directory. */
export function canEnter(folder: string): boolean {
  try {
    // The dot needs the right to search the folder, as changing to it does.
    return statSync(`${folder}/.`).isDirectory();
  } catch {
    return false;
  }
}
