// predate: gives a program the message with a Date field on top, in local time; and datemail, which is predate before
// sendmail. Source: the predate and datemail manual pages.

import { bytesOf } from '../core/bytes/bytes.ts';
import { formatLocalDate } from '../core/message/date.ts';
import { posixZoneOffset } from '../core/message/time-zone.ts';
import type { ProgramWords } from '../host/program-words.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { failOnSystem, failTemporarily } from './fatal.ts';
import { feedChild } from './feed-child.ts';

const PROGRAM = 'predate';
const ZONE_FOLDER = '/zoneinfo/';

/** Runs predate to its end with at least one argument; returns its exit code. */
export async function runPredate({ args, env }: ProgramWords): Promise<number> {
  const nowMs = Date.now();
  const preamble = bytesOf(`Date: ${formatLocalDate(nowMs, localOffset(env, nowMs))}\n`);
  const end = await feedChild({ words: args, env, preamble, mayIgnoreInput: true });
  if (typeof end === 'number') return end;
  if (end === 'crashed') return failTemporarily(PROGRAM, 'child crashed');
  if ('notCopied' in end) return failOnSystem(PROGRAM, ['read input'], end.notCopied);
  return failOnSystem(PROGRAM, ['run ', args[0]!], end.notStarted);
}

/** Local time minus GMT in seconds. Node misreads most of TZ's own notation, and knows the names of places. */
function localOffset(env: Environment, nowMs: number): number {
  const zone = env.strings['TZ']?.replace(/^:/, '');
  if (zone === '') return 0;
  if (zone !== undefined) {
    const offset = posixZoneOffset(zone, Math.floor(nowMs / 1000));
    if (offset !== undefined) return offset;
    const folder = zone.lastIndexOf(ZONE_FOLDER);
    process.env['TZ'] = folder < 0 ? zone : zone.slice(folder + ZONE_FOLDER.length);
  }
  return 0 - new Date(nowMs).getTimezoneOffset() * 60;
}
