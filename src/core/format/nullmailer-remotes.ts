// The file `remotes` of nullmailer: a server per line, with a protocol and options, quoted as a shell quotes.
// Source: nullmailer-send(8) (remotes, PROTOCOL OPTIONS).

import { type ConfigProblem, findMark, splitConfigLines } from './config-lines.ts';

/** A server, and how it is to be spoken to. */
export interface NullmailerRemote {
  readonly line: number;
  readonly host: string;
  /** `smtp` if none is given. */
  readonly protocol: string;
  /** Options without leading dashes; the value of one without an equals sign is empty. */
  readonly options: readonly { readonly name: string; readonly value: string }[];
}

/** Reads the file. */
export function parseNullmailerRemotes(content: Uint8Array): {
  remotes: NullmailerRemote[];
  problems: ConfigProblem[];
} {
  const { lines, problems } = splitConfigLines(content);
  const remotes: NullmailerRemote[] = [];
  for (const { line, text } of lines) {
    const words = splitShellWords(text);
    if (words === undefined) {
      problems.push({ line, text: 'a quote does not end: close it' });
      continue;
    }
    const [host = '', protocol = 'smtp'] = words;
    const options = [];
    for (let i = 2; i < words.length; i++) options.push(parseOption(words[i]!));
    if (host === '') problems.push({ line, text: 'names no server: write HOST PROTOCOL OPTION...' });
    else remotes.push({ line, host, protocol, options });
  }
  return { remotes, problems };
}

function parseOption(word: string): { name: string; value: string } {
  const dashes = word.substring(0, 2) === '--' ? 2 : 0;
  const equals = findMark(word, '=');
  return { name: word.substring(dashes, equals), value: word.substring(equals + 1) };
}

/** The words of a line, without their quotes; undefined if a quote does not end. */
function splitShellWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    let character = text.charAt(i);
    if (quote !== '' && character === quote) {
      quote = '';
      continue;
    }
    if (quote === '') {
      if (character === ' ' || character === '\t') {
        if (word !== undefined) words.push(word);
        word = undefined;
        continue;
      }
      word = word ?? '';
      if (character === "'" || character === '"') {
        quote = character;
        continue;
      }
    }
    if (character === '\\' && quote !== "'") character = text.charAt(++i);
    word = (word ?? '') + character;
  }
  if (word !== undefined) words.push(word);
  return quote === '' ? words : undefined;
}
