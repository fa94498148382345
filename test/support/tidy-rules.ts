// What test/tidy.test.ts looks for in sources: each rule takes a text and gives its findings as `line: what`. Rules see
// text, not types; what only types can tell is left to the linter and to tsc with the library of ES5 (tsconfig.core.json).

import { readSource } from './source-text.ts';

/** Finds what a rule forbids; one finding is `LINE: what`. */
export type Rule = (text: string) => string[];

/** Every match of the pattern (global) in the text, with its line. */
function matches(
  text: string,
  pattern: RegExp,
  say: (match: RegExpMatchArray) => string | undefined,
): string[] {
  return [...text.matchAll(pattern)].flatMap((match) => {
    const what = say(match);
    return what === undefined ? [] : [`${lineAt(text, match.index ?? 0)}: ${what}`];
  });
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** Names that a module imports from, static and dynamic, with their line. */
export function importsOf(text: string): { line: number; from: string }[] {
  const { code, strings } = readSource(text);
  const lines = code.split('\n');
  return strings
    .filter(({ line }) => /(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"]/.test(lines[line - 1]!))
    .map(({ line, value }) => ({ line, from: value }));
}

/** Core imports nothing but core: relative paths that stay inside, given the file's depth below src/core. */
export function findImportsOutOfCore(text: string, depth: number): string[] {
  return importsOf(text).flatMap(({ line, from }) => {
    const ups = from.split('/').filter((part) => part === '..').length;
    return from.startsWith('.') && ups <= depth ? [] : [`${line}: imports "${from}"`];
  });
}

const WORDS_NOT_IN_CORE =
  /\b(?:async|await|yield|Map|Set|WeakMap|WeakSet|WeakRef|Promise|Proxy|Reflect|Symbol|BigInt|BigInt64Array|Intl|URL|TextDecoder|TextEncoder|Buffer|process|Date|setTimeout|setImmediate|queueMicrotask|globalThis|structuredClone|Atomics|SharedArrayBuffer)\b|\bfunction\s*\*/g;
const MEMBERS_NOT_IN_CORE =
  /\.(includes|startsWith|endsWith|repeat|padStart|padEnd|codePointAt|trimStart|trimEnd|normalize|matchAll|replaceAll|at|find|findIndex|findLast|findLastIndex|flat|flatMap|fill|copyWithin|entries|values|toSorted|toReversed|toSpliced|with|description)\s*\(/g;
const STATICS_NOT_IN_CORE =
  /\b(?:Object\.(?:entries|values|assign|fromEntries|is|getOwnPropertySymbols|setPrototypeOf|getOwnPropertyDescriptors|groupBy|hasOwn)|Number\.(?:is\w+|parse\w+|EPSILON|MAX_SAFE_INTEGER|MIN_SAFE_INTEGER)|Math\.(?:trunc|sign|imul|clz32|fround|log2|log10|log1p|expm1|cbrt|hypot|[a]?(?:sinh|cosh|tanh))|String\.(?:raw|fromCodePoint)|\w*Array\.(?:from|of))\b/g;
const ON_ARRAYS_AND_TEXT = /([\w.#)\]'"`]+)\.(slice|indexOf|lastIndexOf|keys)\(/g;
// Strings and real arrays: typed arrays of ES5 have none of these methods.
const KNOWN_TEXT_OR_ARRAY = new Set([
  'args',
  'custom',
  'grammar.plain',
  'grammar.withRest',
  'grammar.withArgument',
]);

function isKnown(receiver: string, method: string, code: string): boolean {
  if (method === 'keys') return receiver === 'Object';
  if (/^\w+$/.test(receiver) && isDeclaredAsTextOrArray(receiver, code)) return true;
  return /['"`]$/.test(receiver) || /^[A-Z][A-Z_]+$/.test(receiver) || KNOWN_TEXT_OR_ARRAY.has(receiver);
}

/** Whether everything of that name in the source is declared to be a string or a real array. */
function isDeclaredAsTextOrArray(name: string, code: string): boolean {
  const types = [...code.matchAll(new RegExp(`\\b${name}\\??: ((?:readonly )?\\w+(?:\\[\\])?)`, 'g'))];
  const texts = [...code.matchAll(new RegExp(`\\bconst ${name} = (\\w+)\\(`, 'g'))];
  const isEach =
    types.every(([, type]) => type === 'string' || type!.endsWith('[]')) &&
    texts.every(([, call]) => call === 'textOf' || call === 'lowerText');
  return isEach && types.length + texts.length > 0;
}

/** Core calls nothing that an ES5 engine with typed arrays (Duktape) lacks, and has no syntax that cannot be lowered. */
export const findBeyondEs5: Rule = (text) => {
  const { code, regexes } = readSource(text);
  const found = [WORDS_NOT_IN_CORE, MEMBERS_NOT_IN_CORE, STATICS_NOT_IN_CORE].flatMap((pattern) =>
    matches(code, pattern, ([word]) => `uses ${word.replace(/\s*\($/, '()')}`),
  );
  const calls = matches(code, ON_ARRAYS_AND_TEXT, ([, receiver, method]) =>
    isKnown(receiver!, method!, code)
      ? undefined
      : `calls .${method}() of ${receiver}, which may be a Uint8Array`,
  );
  const patterns = regexes.flatMap(({ line, pattern, flags }) =>
    /\(\?<|\\p\{/.test(pattern) || /[^gim]/.test(flags) ? [`${line}: uses /${pattern}/${flags}`] : [],
  );
  return [...found, ...calls, ...patterns];
};

/** A source begins with a comment that says what it is for. */
export const findMissingHeader: Rule = (text) =>
  /^(?:\/\/ \S|\/\*)/.test(text) ? [] : ['1: has no header comment'];

const EXPORT =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|interface|type|const|let) (\w+)/;

/** Every export has a docstring directly above it; one-line constants in a row share one. */
export const findUndocumentedExports: Rule = (text) => {
  const lines = readSource(text).code.split('\n');
  const original = text.split('\n');
  return lines.flatMap((line, i) => {
    const name = EXPORT.exec(line)?.[1];
    let above = i - 1;
    while (above >= 0 && /^export const .*;$/.test(lines[above]!)) above--;
    const isDocumented = above >= 0 && lines[above]!.trim() === '' && original[above]!.trim().endsWith('*/');
    return name === undefined || isDocumented
      ? []
      : [`${i + 1}: export ${name} has no docstring directly above`];
  });
};

/** No test is left out or alone, nothing is left to be done. Brackets keep the pattern from finding itself. */
export const findUnfinished: Rule = (text) =>
  matches(text, /\.(?:only|skip|todo)\(|\b(?:T[O]DO|F[I]XME|X{3})\b/g, ([word]) => `has ${word}`);

/** Nothing names a machine's own paths or hosts. */
export const findMachineNames: Rule = (text) =>
  matches(text, /(?<![\w.-])\/wor[k]\/|\bshare[d]\/|\bregistry\.npm[j]s\b/g, ([word]) => `names ${word}`);

/** Errors are thrown or returned where they are built. */
export const findUnusedErrors: Rule = (text) =>
  matches(
    readSource(text).code,
    /^[ \t]*(?:void )?new \w*Error\(/gm,
    () => 'builds an error and drops it',
  ).filter((finding) => !isContinued(text, Number.parseInt(finding, 10)));

/** Whether the line belongs to an expression of the line before it. */
function isContinued(text: string, line: number): boolean {
  return /[(,=>?:&|]$|\b(?:return|throw)$/.test((text.split('\n')[line - 2] ?? '').trim());
}

/** The longest that a file may be, lines. */
export const LINES_MAX = 500;

/** A file can be read in one go. */
export const findTooLong: Rule = (text) => {
  const count = text.split('\n').length - 1;
  return count > LINES_MAX ? [`${LINES_MAX}: goes on to ${count} lines`] : [];
};
