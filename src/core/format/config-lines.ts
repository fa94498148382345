// Lines of other mail clients' configuration files, for importing them: numbered, without their ends, harmless. Every line
// that cannot be taken becomes a problem with its number, and the rest goes on.

import { findByte, textOf } from '../bytes/bytes.ts';

const LF = 10;
const CR = 13;
const HASH = 35;
const LINE_MAX = 65_536;

/** A line that says something; `text` has one character per byte, no LF, no CR before it, and no NUL. */
export interface ConfigLine {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** A line that cannot be understood, and what to do about it. */
export interface ConfigProblem {
  readonly line: number;
  readonly text: string;
}

/** A setting: a name and its value, which may be empty. */
export interface ConfigSetting {
  readonly line: number;
  readonly name: string;
  readonly value: string;
}

/** What was found in a file. */
export interface ParsedConfig {
  readonly settings: readonly ConfigSetting[];
  readonly problems: readonly ConfigProblem[];
}

/** Splits a file into lines, without empty ones and, at their beginning, blanks, comments and a byte order mark. */
export function splitConfigLines(content: Uint8Array): { lines: ConfigLine[]; problems: ConfigProblem[] } {
  const lines: ConfigLine[] = [];
  const problems: ConfigProblem[] = [];
  let line = 0;
  let from = content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf ? 3 : 0;
  while (from < content.length) {
    const lf = findByte(content, LF, from);
    const end = lf < 0 ? content.length : lf;
    const bytes = trimBlanks(content.subarray(from, end));
    from = end + 1;
    line++;
    if (bytes.length === 0 || bytes[0] === HASH) continue;
    if (bytes.length > LINE_MAX) problems.push({ line, text: `longer than ${LINE_MAX} bytes: shorten it` });
    else if (findByte(bytes, 0) >= 0) problems.push({ line, text: 'has a NUL byte: remove it' });
    else lines.push({ line, text: textOf(bytes) });
  }
  return { lines, problems };
}

function trimBlanks(line: Uint8Array): Uint8Array {
  let from = 0;
  let to = line.length;
  while (to > from && isBlank(line[to - 1]!)) to--;
  while (from < to && isBlank(line[from]!)) from++;
  return line.subarray(from, to);
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9 || byte === CR;
}

/** Index of the first character of `text` that is one of `marks`, or its length. */
export function findMark(text: string, marks: string): number {
  for (let i = 0; i < text.length; i++) {
    for (let j = 0; j < marks.length; j++) if (text.charAt(i) === marks.charAt(j)) return i;
  }
  return text.length;
}

/** The text without blanks at both ends. */
export function trimText(text: string): string {
  let from = 0;
  let to = text.length;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  return text.substring(from, to);
}
