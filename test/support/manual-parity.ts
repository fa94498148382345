// Compares a program's manual page with its sources, both ways: options, environment, control files, exit codes. Takes from
// sources what a scan of the text can see: names of variables as string literals and keys in capitals, option letters from
// the grammar given to parseShortOptions(), exit codes written as numbers or as QUEUE_EXIT names. Not seen: codes passed on
// from another program, and variables whose names are put together.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { QUEUE_EXIT } from '../../src/core/policy/outcome.ts';
import { readSource } from './source-text.ts';
import { importsOf } from './tidy-rules.ts';

/** What a page, or a program, says. */
export interface Facts {
  readonly options: ReadonlySet<string>;
  readonly environment: ReadonlySet<string>;
  readonly exits: ReadonlySet<number>;
}

/** Paths and texts of all sources that a program's bundle is made of, its own first. */
export function readProgram(path: string): Map<string, string> {
  const files = new Map<string, string>();
  const waiting = [path];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    if (files.has(next)) continue;
    const text = readFileSync(next, 'utf8');
    files.set(next, text);
    for (const { from } of importsOf(text)) if (from.startsWith('.')) waiting.push(join(dirname(next), from));
  }
  return files;
}

// Names of errors and signals are in capitals too; what systemd sets for its services is told by its own pages.
const NO_VARIABLE = /^(?:E[A-Z0-9]+(?:_[A-Z]+)*|SIG[A-Z]+|LISTEN_[A-Z]+|NOTIFY_SOCKET)$/;

/** Names in capitals, of three letters or more, that stand as a string or as a key in a source that speaks of the environment. */
export function variablesOf(text: string): string[] {
  if (!/\benv\b|\benvironment variables\b/i.test(text)) return [];
  const { code, strings } = readSource(text);
  const lines = text.split('\n');
  const literals = strings
    .filter(
      ({ line, value }) => /^[A-Z]{3,}(?:_[A-Z]+)*$/.test(value) && !isValueOfKey(lines[line - 1]!, value),
    )
    .map(({ value }) => value);
  const keys = [...code.matchAll(/^[ \t]+([A-Z]{3,}):|[{,] ([A-Z]{3,}):/gm)].map(
    (match) => match[1] ?? match[2]!,
  );
  return [...literals, ...keys].filter((name) => !NO_VARIABLE.test(name));
}

function isValueOfKey(line: string, value: string): boolean {
  return new RegExp(`\\b[A-Z]{3,}: '${value}'`).test(line);
}

/** Letters in the grammars of parseShortOptions(). */
export function optionLettersOf(text: string): string[] {
  return [...text.matchAll(/\b(?:plain|withArgument|withRest): '([\w/]*)'/g)].flatMap(([, letters]) => [
    ...letters!,
  ]);
}

/** Words of the options in a citty command. */
export function longOptionsOf(text: string): string[] {
  return [...text.matchAll(/(?<![\w-])'?([\w-]+)'?: (?:homeArg\b|\{ \.\.\.homeArg\b|\{\s*type: )/g)].map(
    ([, name]) => name!,
  );
}

/** Words of long options that a short program compares its arguments with, with their dashes but for the first. */
export function longOptionStringsOf(text: string): string[] {
  return readSource(text)
    .strings.map(({ value }) => value)
    .filter((value) => /^--[a-z-]+$/.test(value))
    .map((value) => value.slice(1));
}

/** Exit codes written as numbers. */
export function exitCodesOf(text: string): number[] {
  const { code } = readSource(text);
  const numbers = code.matchAll(/\b(?:EXIT\w*\s*=|exit:|exit\(|return) ?(1[01]\d|0)(?=[;,) }])/g);
  return [...numbers].map(([, digits]) => Number(digits));
}

/** Exit codes of a queue program, which go by their QUEUE_EXIT names. */
export function queueExitCodesOf(text: string): number[] {
  const names = readSource(text).code.matchAll(/\bQUEUE_EXIT\.(\w+)/g);
  return [...names].map(([, name]) => QUEUE_EXIT[name as keyof typeof QUEUE_EXIT]);
}

/** The facts of a page; `.so`-like references are not followed. */
export function factsOfPage(page: string): Facts {
  const lines = page.split('\n').filter((line) => line.startsWith('.'));
  const section = /^\.Sh EXIT STATUS\n([\s\S]*?)(?=^\.Sh |$(?![\s\S]))/m.exec(page)?.[1] ?? '';
  return {
    options: new Set(lines.flatMap((line) => wordsAfter(line, 'Fl'))),
    environment: new Set(lines.flatMap((line) => wordsAfter(line, 'Ev'))),
    exits: new Set([...section.matchAll(/^\.It (?:Li )?(\d+)/gm)].map(([, digits]) => Number(digits))),
  };
}

/** Words that a macro applies to: up to the next macro, without punctuation. */
function wordsAfter(line: string, macro: string): string[] {
  let isIn = false;
  const words: string[] = [];
  for (const word of line.replace(/^\./, '').split(/\s+/)) {
    if (/^[A-Z][a-z]$/.test(word)) isIn = word === macro;
    else if (isIn && /^[-\w/]/.test(word)) words.push(word);
  }
  return words;
}

/** Environment of a page, and of the pages of programs that it refers to. */
export function environmentWithReferences(pagePath: string): Set<string> {
  const page = readFileSync(pagePath, 'utf8');
  const referred = [...page.matchAll(/^\.Xr ([\w-]+) ([18])/gm)].map(([, name, section]) =>
    join(dirname(pagePath), `${name}.${section}`),
  );
  const pages = [
    page,
    ...referred.filter((path) => existsSync(path)).map((path) => readFileSync(path, 'utf8')),
  ];
  return new Set(pages.flatMap((text) => [...factsOfPage(text).environment]));
}

/** Names of control files that a source reads, as far as they stand in the call that reads them. */
export function controlFilesOf(text: string): string[] {
  const calls = text.matchAll(/\b(?:readControl\w*\((?:\w+\.)?home, |line\(|list\(|value\()'(\w+)'/g);
  return [...calls].map(([, name]) => name!);
}

/** Names of control files in a page, those of a list of defaults included. */
export function controlFilesOfPage(page: string): string[] {
  return [...page.matchAll(/\bcontrol\/(\w+)/g)].map(([, name]) => name!);
}

/** Names of the events that a source logs; those put together from parts are not seen. */
export function eventsOf(text: string): string[] {
  return [...text.matchAll(/\blog\.write\(\s*'([a-z.-]+)'/g)].map(([, name]) => name!);
}

/** Names of events in the section LOG of a page. */
export function eventsOfPage(page: string): string[] {
  const section = /^\.Sh LOG\n([\s\S]*?)^\.Sh /m.exec(page)?.[1] ?? '';
  return [...section.matchAll(/^\.It Li ([a-z.-]+)/gm)].map(([, name]) => name!);
}

/** Titles of the sections of a page, in order. */
export function sectionsOf(page: string): string[] {
  return [...page.matchAll(/^\.Sh (.+)$/gm)].map(([, title]) => title!);
}

/** Pages that a page refers to, as `NAME SECTION`. */
export function referencesOf(page: string): string[] {
  const lines = page.split('\n').filter((line) => line.startsWith('.') && !line.startsWith('.\\"'));
  return lines.flatMap((line) =>
    [...line.matchAll(/\bXr (\S+) (\d)/g)].map(([, name, section]) => `${name} ${section}`),
  );
}
