// preline: gives a program the message with the lines on top that qmail-local leaves to its instructions.
// Source: the preline manual page.

import { concatBytes } from '../core/bytes/bytes.ts';
import { parseShortOptions } from '../core/format/short-options.ts';
import { complain } from '../host/blocking-io.ts';
import { errorText, isTemporaryError } from '../host/error-text.ts';
import type { ProgramWords } from '../host/program-words.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';
import { feedChild } from './feed-child.ts';
import { failPermanently, refuseUsage } from './refuse.ts';

const PROGRAM = 'preline';
const USAGE = 'preline cmd [ arg ... ]';
/** Letter of the option that leaves a line out, to its variable; in the order in which they are written. */
const LINES = { f: 'UFLINE', r: 'RPLINE', d: 'DTLINE' };

/** Runs preline to its end; returns its exit code. */
export async function runPreline({ args, env }: ProgramWords): Promise<number> {
  const lines: { [letter: string]: Uint8Array } = {};
  for (const [letter, variable] of Object.entries(LINES)) {
    const line = env.get(variable);
    if (line === undefined) return refuseUsage(PROGRAM, USAGE);
    lines[letter] = line;
  }
  const { options, words, problem } = parseShortOptions(args, {
    plain: 'frdFRD',
    withArgument: '',
    withRest: '',
  });
  if (problem !== undefined) complain(`${PROGRAM}: ${problem}\n`);
  const [command] = words;
  if (problem !== undefined || command === undefined) return refuseUsage(PROGRAM, USAGE);

  const isOn = (letter: string) => {
    const last = options.filter((option) => option.letter.toLowerCase() === letter).pop();
    return last === undefined || last.letter !== letter;
  };
  const preamble = concatBytes(
    Object.keys(LINES).flatMap((letter) => (isOn(letter) ? [lines[letter]!] : [])),
  );
  const end = await feedChild({ words, env, preamble, mayIgnoreInput: false });
  if (typeof end === 'number') return end;
  if (end === 'crashed') return failTemporarily(PROGRAM, 'child crashed');
  if ('notCopied' in end) return failOnSystem(PROGRAM, ['copy input'], end.notCopied);
  if (isTemporaryError(end.notStarted)) return failOnSystem(PROGRAM, ['run ', command], end.notStarted);
  return failPermanently(PROGRAM, 'unable to run ', command, ': ', errorText(end.notStarted));
}
