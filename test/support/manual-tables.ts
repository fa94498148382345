// Reads the tables of the manual pages about formats, and the constants and defaults of sources that they repeat: control
// files, limits of QMQP, what the exit codes of a queue program mean. A line of a table is `.It CELL Ta CELL …`.

import { readSource } from './source-text.ts';

/** A line of the table of qmail-control(5): who reads a file, ours and, in parentheses, other people's. */
export interface ControlRow {
  readonly file: string;
  readonly format: string;
  readonly fallback: string;
  readonly readers: readonly string[];
  readonly foreign: readonly string[];
}

/**
 * The table of qmail-control(5). A line without a file goes on with the one above: with a default of its own as a row of
 * that file, without one as more readers of that row.
 */
export function controlRowsOf(page: string): ControlRow[] {
  const rows: ControlRow[] = [];
  for (const [, cells] of page.matchAll(/^\.It (.* ?Ta .*)$/gm)) {
    const [head, format, fallback, readers] = cells!.split(/ ?\bTa\b ?/).map((cell) => cell.trim());
    const [own = '', foreign = ''] = (readers ?? '').split(/\bPq /);
    const here = { readers: namesIn(own), foreign: namesIn(foreign) };
    const above = rows.at(-1);
    if (head!.startsWith('Pa '))
      rows.push({ file: head!.slice(3), format: format!, fallback: fallback!, ...here });
    else if (above === undefined) continue;
    else if (fallback !== '') rows.push({ ...above, fallback: fallback!, ...here });
    else {
      const joined = {
        readers: [...above.readers, ...here.readers],
        foreign: [...above.foreign, ...here.foreign],
      };
      rows[rows.length - 1] = { ...above, ...joined };
    }
  }
  return rows;
}

function namesIn(cell: string): string[] {
  return cell.split(/[ ,]+/).filter((name) => name !== '');
}

/** The rows `.It PROGRAM Ta WHAT Ta LIMIT` of a page, as `PROGRAM: WHAT` to limit. */
export function limitsOfPage(page: string): Record<string, string> {
  const rows = page.matchAll(/^\.It ([\w-]+) Ta (.+?) Ta (.+)$/gm);
  return Object.fromEntries([...rows].map(([, program, what, limit]) => [`${program}: ${what}`, limit!]));
}

/** Value of a constant of a source that is written as a number, or as one shifted. @throws Error if there is none */
export function constantOf(source: string, name: string): number {
  const value = new RegExp(`^(?:export )?const ${name} = ([\\d_]+)(?: << (\\d+))?;`, 'm').exec(source);
  if (value === null) throw new Error(`Cannot compare: the source has no constant ${name} that is a number`);
  return Number(value[1]!.replaceAll('_', '')) * 2 ** Number(value[2] ?? 0);
}

/**
 * Number files that a source reads, each with its default, which is a number, a constant of the source, or one that it
 * imports from another of the program's sources. @throws Error if it is none of them
 */
export function numberDefaultsOf(text: string, others: readonly string[]): [string, number][] {
  const calls = text.matchAll(/\breadControlNumber\((?:\w+\.)?home, '(\w+)', (\w+)\)/g);
  return [...calls].map(([, file, value]) => [
    file!,
    /^\d/.test(value!)
      ? Number(value!.replaceAll('_', ''))
      : constantOf([text, ...others].find((source) => source.includes(`const ${value} = `)) ?? text, value!),
  ]);
}

/**
 * What the table of envelopes(5) says of an exit code: letter and text. The most exact row counts: the code itself or a
 * range with it, then `other` and a range, then `others`; `killed` stands for itself.
 */
export function queueOutcomesOf(page: string): (exit: number | 'killed') => string | undefined {
  const rows = [...page.matchAll(/^\.It (.+) Ta ([KZD]) Ta ?(.*)$/gm)].map(([, codes, letter, text]) => ({
    codes: codes!,
    meaning: `${letter} ${text}`.trimEnd(),
  }));
  const find = (accepts: (codes: string) => boolean) => rows.find(({ codes }) => accepts(codes))?.meaning;
  return (exit) =>
    exit === 'killed'
      ? find((codes) => codes === exit)
      : (find((codes) => /^\d/.test(codes) && isAmong(exit, codes)) ??
        find((codes) => codes.startsWith('other ') && isAmong(exit, codes.slice(6))) ??
        find((codes) => codes === 'others'));
}

/** Whether a number is in a list such as `11, 115` or `62-66`. */
function isAmong(value: number, list: string): boolean {
  return list.split(', ').some((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return value >= from! && value <= to!;
  });
}

/** Names of control files in the strings of a source, as `control/NAME`. */
export function namedControlFilesOf(text: string): string[] {
  return readSource(text).strings.flatMap(({ value }) =>
    [...value.matchAll(/\bcontrol\/(\w+(?:\.\w+)*)/g)].map(([, name]) => name!),
  );
}
