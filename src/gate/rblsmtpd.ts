// rblsmtpd: keeps clients on block lists from an SMTP server. Source: the rblsmtpd page of cr.yp.to/ucspi-tcp.

import { failOnSystem } from '../client/fatal.ts';
import { refuseUsage } from '../client/refuse.ts';
import { textOf } from '../core/bytes/bytes.ts';
import { type ParsedOptions, parseShortOptions } from '../core/format/short-options.ts';
import type { ClientList } from '../core/policy/client-screening.ts';
import { become } from '../host/become.ts';
import { complain } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { openStandardInputOutput } from '../host/descriptor-io.ts';
import { createDnsClient, readDnsServers } from '../host/dns-client.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { findProgram } from './find-program.ts';
import { findRefusal, refuseClient } from './refuse-client.ts';

const PROGRAM = 'rblsmtpd';
const USAGE = 'rblsmtpd [ -bBcC ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]';
const GRAMMAR = { plain: 'bBcC', withArgument: 'rat', withRest: '' };
const TIMEOUT_SECONDS = 60;

/** Runs rblsmtpd: becomes the SMTP server, or refuses the client; resolves with the exit code. */
export async function runRblsmtpd({ args, env, calledAs }: ProgramCall): Promise<number> {
  const parsed = parseShortOptions(args, GRAMMAR);
  if (parsed.problem !== undefined) complain(`${calledAs}: ${parsed.problem}\n`);
  const [program] = parsed.words;
  if (parsed.problem !== undefined || program === undefined) return refuseUsage(PROGRAM, USAGE);
  const { lists, timeoutMs } = readOptions(parsed);
  const ip = env.get('TCPREMOTEIP') ?? new Uint8Array(0);
  const askDns = createDnsClient({ servers: readDnsServers(env.get('DNSCACHEIP')), clock: SYSTEM_CLOCK });
  const refusal = await findRefusal({ ip, lists, given: env.get('RBLSMTPD'), askDns });
  if (refusal !== undefined) {
    const options = { ...openStandardInputOutput(), clock: SYSTEM_CLOCK, timeoutMs, ip, pid: process.pid };
    await refuseClient(refusal, options);
    return 0;
  }
  const found = findProgram(String(Buffer.from(program)), env.strings['PATH']);
  const error = 'error' in found ? found.error : become(found.path, parsed.words.slice(1), env);
  return failOnSystem(PROGRAM, ['run ', program], error);
}

/** Options hold for the lists that are named behind them. */
function readOptions({ options }: ParsedOptions): { lists: ClientList[]; timeoutMs: number } {
  const lists: ClientList[] = [];
  let [isPermanent, failsClosed, seconds] = [false, false, TIMEOUT_SECONDS];
  for (const { letter, argument } of options) {
    if (letter === 'b' || letter === 'B') isPermanent = letter === 'b';
    else if (letter === 'c' || letter === 'C') failsClosed = letter === 'c';
    else if (letter === 't') seconds = Number(/^[0-9]{0,9}/.exec(textOf(argument))?.[0] ?? '');
    else lists.push({ base: argument, isAntiList: letter === 'a', isPermanent, failsClosed });
  }
  return { lists, timeoutMs: seconds * 1000 };
}
