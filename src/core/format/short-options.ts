// Command-line options as C programs of the eighties parse them: single letters that may be clustered, arguments in the
// same word or the next one. Words are bytes. What the options mean, and in which order a problem counts, is the
// program's business. Source: getopt(3); the qmail programs' manual pages.

import { textOf } from '../bytes/bytes.ts';

const DASH = 45;

/** Which letters there are; a letter stands in one of the three. */
export interface OptionGrammar {
  readonly plain: string;
  /** Letters whose argument is the rest of their word or, if that is empty, the next word. */
  readonly withArgument: string;
  /** Letters that swallow the rest of their word, if any. */
  readonly withRest: string;
}

/** Options in the order given, up to the first problem. */
export interface ParsedOptions {
  readonly options: readonly { readonly letter: string; readonly argument: Uint8Array }[];
  /** The words after the options. */
  readonly words: readonly Uint8Array[];
  /** The line that says what is wrong, without the program's name; undefined if all was understood. */
  readonly problem: string | undefined;
}

/**
 * Parses the words after a program's name. Options end at a word that does not begin with `-`, at a lone `-` (a word
 * like others), or at a word that begins with `--`, which is dropped.
 */
export function parseShortOptions(args: readonly Uint8Array[], grammar: OptionGrammar): ParsedOptions {
  const options: { letter: string; argument: Uint8Array }[] = [];
  const none = new Uint8Array(0);
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!;
    if (word[0] !== DASH || word.length === 1)
      return { options, words: args.slice(index), problem: undefined };
    if (word[1] === DASH) return { options, words: args.slice(index + 1), problem: undefined };
    for (let at = 1; at < word.length; at++) {
      const letter = textOf(word.subarray(at, at + 1));
      const rest = word.subarray(at + 1);
      if (grammar.plain.indexOf(letter) >= 0) {
        options.push({ letter, argument: none });
      } else if (grammar.withRest.indexOf(letter) >= 0) {
        options.push({ letter, argument: rest });
        break;
      } else if (grammar.withArgument.indexOf(letter) >= 0) {
        const argument = rest.length > 0 ? rest : args[++index];
        if (argument === undefined) {
          return { options, words: [], problem: `option requires an argument -- ${letter}` };
        }
        options.push({ letter, argument });
        break;
      } else {
        return { options, words: [], problem: `illegal option -- ${letter}` };
      }
    }
  }
  return { options, words: [], problem: undefined };
}
