import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { parseShortOptions } from './short-options.ts';

const GRAMMAR = { plain: 'tiv', withArgument: 'fb', withRest: 'E' };

function parse(...args: string[]): string {
  const { options, words, problem } = parseShortOptions(args.map(bytesOf), GRAMMAR);
  const shown = options.map(({ letter, argument }) => `${letter}(${textOf(argument)})`);
  return [
    ...shown,
    '|',
    ...(problem === undefined ? words.map((word) => `<${textOf(word)}>`) : [problem]),
  ].join(' ');
}

const CASES: [string, string[], string][] = [
  ['no words', [], '|'],
  ['clusters', ['-tiv', '-t'], 't() i() v() t() |'],
  ['an argument in the same word', ['-itfa@b', 'c'], 'i() t() f(a@b) | <c>'],
  ['an argument in the next word', ['-f', '-t', '-i'], 'f(-t) i() |'],
  ['an empty argument', ['-f', '', 'x'], 'f() | <x>'],
  ['-- as the argument of an option', ['-f', '--', '-t'], 'f(--) t() |'],
  ['the rest of a word', ['-tEfx', 'bob'], 't() E(fx) | <bob>'],
  ['no rest of a word', ['-E', 'bob'], 'E() | <bob>'],
  ['words after the first one as they are', ['bob', '-t'], '| <bob> <-t>'],
  ['a lone dash as a word', ['-t', '-', '-i'], 't() | <-> <-i>'],
  ['an empty word', ['', '-t'], '| <> <-t>'],
  ['--anything as the end', ['--help', '-t', '-z'], '| <-t> <-z>'],
  ['a letter it does not know', ['-tz', '-i'], 't() | illegal option -- z'],
  ['a dash in a cluster', ['-t-'], 't() | illegal option -- -'],
  ['a missing argument', ['-tf'], 't() | option requires an argument -- f'],
  ['an 8-bit letter', ['-\xfc'], '| illegal option -- \xfc'],
];

for (const [name, args, want] of CASES) {
  test(`parseShortOptions() takes ${name}`, () => assert.equal(parse(...args), want));
}
