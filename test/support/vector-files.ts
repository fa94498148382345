// Files that a client vector puts into a folder before a run, and those that it expects there afterwards.

import { lstatSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expandBytes, matchesBytes, type Placeholders, type VectorBytes } from './vector-bytes.ts';

/** A file before the run: its bytes, or more about it; times are seconds since 1970, the mode is octal. */
export type FileContent =
  | VectorBytes
  | { readonly dir: true; readonly mtime?: number }
  | {
      readonly content: VectorBytes;
      readonly mtime?: number;
      readonly atime?: number;
      readonly mode?: string;
    }
  | null;

/** A file after the run; what is not given is not compared. */
export interface ExpectedFile {
  readonly dir?: true;
  readonly mode?: string;
  readonly content?: VectorBytes;
}

/** Writes files below a folder, and the folders that they are in. */
export function writeVectorFiles(
  folder: string,
  files: { readonly [name: string]: FileContent },
  table: Placeholders,
): void {
  const times: (() => void)[] = [];
  for (const [name, file] of Object.entries(files)) {
    if (file === null) continue;
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    const about = typeof file === 'object' && ('dir' in file || 'content' in file) ? file : { content: file };
    if ('dir' in about) mkdirSync(path, { recursive: true });
    else {
      const mode = Number.parseInt('mode' in about ? (about.mode ?? '0644') : '0644', 8);
      writeFileSync(path, expandBytes(about.content, table), { mode });
    }
    const { mtime, atime } = { atime: undefined, mtime: undefined, ...about };
    if (mtime === undefined && atime === undefined) continue;
    const now = Date.now() / 1000;
    times.push(() => utimesSync(path, atime ?? mtime ?? now, mtime ?? now));
  }
  // Last, because what is written into a folder changes the time of the folder.
  for (const set of times) set();
}

/** Differences between what is below a folder and what was expected, in words. */
export function compareVectorFiles(
  folder: string,
  expected: { readonly [name: string]: ExpectedFile },
  table: Placeholders,
): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const differences = names.filter((name) => !(name in expected)).map((name) => `file ${name} is unexpected`);
  for (const [name, wanted] of Object.entries(expected)) {
    if (!names.includes(name)) {
      differences.push(`file ${name} is missing`);
      continue;
    }
    const path = join(folder, name);
    const status = lstatSync(path);
    const mode = (status.mode & 0o7777).toString(8).padStart(4, '0');
    if (wanted.mode !== undefined && mode !== wanted.mode)
      differences.push(`mode of ${name} is ${mode}, wanted ${wanted.mode}`);
    if (status.isDirectory() !== (wanted.dir === true)) differences.push(`${name} is of another kind`);
    else if (wanted.content !== undefined) {
      const content = readFileSync(path);
      if (!matchesBytes(content, wanted.content, table))
        differences.push(
          `content of ${name}\n    is     ${JSON.stringify(content.toString('latin1')).slice(0, 1200)}` +
            `\n    wanted ${JSON.stringify(wanted.content)}`,
        );
    }
  }
  return differences;
}
