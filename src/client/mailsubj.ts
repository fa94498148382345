// mailsubj: sends standard input as the body of a message. Source: the mailsubj manual page.
// Differs: the original is a shell script, whose echo may take backslashes for something else and which lets an argument
// with a line end begin another header field. Here an argument is what it is, on one line.

import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { programOfHome } from '../host/home-program.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';
import { feedChild, withName } from './feed-child.ts';
import { refuseUsage } from './refuse.ts';

const PROGRAM = 'mailsubj';
const LF = 10;
const SPACE = 32;

/** Runs mailsubj to its end; returns its exit code. */
export async function runMailsubj({ args, env, home, ownBin }: ProgramCall): Promise<number> {
  const [subject, ...recipients] = args;
  if (subject === undefined) return refuseUsage(PROGRAM, 'mailsubj subject recip ...');
  const to = recipients.flatMap((recipient) => [bytesOf(' '), onOneLine(recipient)]);
  const preamble = concatBytes([
    bytesOf('Subject: '),
    onOneLine(subject),
    bytesOf('\nTo:'),
    ...to,
    bytesOf('\n\n'),
  ]);
  const inject = programOfHome(home, ownBin, 'qmail-inject');
  const end = await feedChild({ words: withName(inject, []), env, preamble, mayIgnoreInput: true });
  if (typeof end === 'number') return end;
  if (end === 'crashed') return failTemporarily(PROGRAM, 'child crashed');
  if ('notCopied' in end) return failOnSystem(PROGRAM, ['read input'], end.notCopied);
  return failOnSystem(PROGRAM, ['run ', inject], end.notStarted);
}

function onOneLine(word: Uint8Array): Uint8Array {
  return word.map((byte) => (byte === LF ? SPACE : byte));
}
