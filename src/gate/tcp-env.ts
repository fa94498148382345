// tcp-env: finds out who is at the other end of descriptor 0, says so in the environment, and becomes a program; for servers
// under inetd. Whatever goes wrong is a silent 111. The descriptors stay as they are: the addresses come from the kernel's
// table of sockets. Source: the tcp-env manual page of netqmail.

import { readFileSync, readlinkSync } from 'node:fs';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { findSocketEnds, type SocketEnds } from '../core/format/proc-net-tcp.ts';
import { parseShortOptions } from '../core/format/short-options.ts';
import { become } from '../host/become.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { type AskDns, askNameOfIp, createDnsClient, readDnsServers } from '../host/dns-client.ts';
import { askIdent } from '../host/ident-client.ts';
import type { ProgramWords } from '../host/program-words.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { findProgram } from './find-program.ts';

const EXIT_TROUBLE = 111;
const TIMEOUT_SECONDS = 30;

const GRAMMAR = { plain: 'rR', withArgument: 't', withRest: '' };
/** What stands for an option and is none: passed over. */
const MEANINGLESS = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
  .filter((letter) => !'rRt'.includes(letter))
  .join('');
const KNOWN = { PROTO: 'TCP' };

/** Runs tcp-env: becomes the program, or resolves with 111. */
export async function runTcpEnv({ args, env }: ProgramWords): Promise<number> {
  const { options, words } = parseShortOptions(args, { ...GRAMMAR, plain: GRAMMAR.plain + MEANINGLESS });
  const [program] = words;
  if (program === undefined) return EXIT_TROUBLE;
  if (env.strings['PROTO'] !== KNOWN.PROTO) {
    const ends = endsOfStandardInput();
    if (ends === undefined) return EXIT_TROUBLE;
    let [asksIdent, seconds] = [true, TIMEOUT_SECONDS];
    for (const { letter, argument } of options) {
      if (letter === 'r' || letter === 'R') asksIdent = letter === 'r';
      else if (letter === 't') seconds = Number(/^[0-9]{0,9}/.exec(textOf(argument))?.[0] ?? '');
    }
    const timeoutMs = seconds * 1000;
    await describe(ends, env);
    const info = asksIdent ? await askIdent({ ...ends, timeoutMs, clock: SYSTEM_CLOCK }) : undefined;
    env.setOrRemove('TCPREMOTEINFO', info);
  }
  const found = findProgram(String(Buffer.from(program)), env.strings['PATH']);
  if ('path' in found) become(found.path, words.slice(1), env);
  return EXIT_TROUBLE;
}

/** The ends of the connection on descriptor 0; undefined if that is none. */
function endsOfStandardInput(): SocketEnds | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync('/proc/self/fd/0'))?.[1];
    if (inode === undefined) return undefined;
    const find = (name: string) => findSocketEnds(readFileSync(`/proc/self/net/${name}`), inode);
    const ends = find('tcp') ?? find('tcp6');
    return ends?.remotePort === 0 ? undefined : ends;
  } catch {
    return undefined;
  }
}

async function describe(ends: SocketEnds, env: Environment): Promise<void> {
  const askDns = createDnsClient({ servers: readDnsServers(env.get('DNSCACHEIP')), clock: SYSTEM_CLOCK });
  const [localHost, remoteHost] = await Promise.all([
    nameOf(askDns, ends.localIp),
    nameOf(askDns, ends.remoteIp),
  ]);
  Object.assign(env.strings, KNOWN);
  env.strings['TCPLOCALPORT'] = String(ends.localPort);
  env.strings['TCPLOCALIP'] = ends.localIp;
  env.setOrRemove('TCPLOCALHOST', localHost);
  env.strings['TCPREMOTEPORT'] = String(ends.remotePort);
  env.strings['TCPREMOTEIP'] = ends.remoteIp;
  env.setOrRemove('TCPREMOTEHOST', remoteHost);
}

/** The name, a word instead if nobody could tell, or undefined if there is none. */
async function nameOf(askDns: AskDns, ip: string): Promise<Uint8Array | undefined> {
  const answers = await askNameOfIp(askDns, ip);
  return answers === 'failed' ? bytesOf('softdnserror') : answers[0];
}
