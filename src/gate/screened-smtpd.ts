// qmail-smtpd behind block lists and a delay before its greeting, as the environment asks for, usually by a rule of tcprules.
// Without $RBL and $GREETDELAY it is qmail-smtpd and nothing else.
// $RBL has lists, separated by spaces: `base` refuses for now, `-base` for good, `+base` is an anti-list. Nobody is refused
// because nobody could tell. A client that speaks within the delay does not wait for greetings, as senders of spam, and is
// refused for now.

import { bytesOf } from '../core/bytes/bytes.ts';
import type { ClientList } from '../core/policy/client-screening.ts';
import type { ByteInput } from '../host/descriptor-io.ts';
import { createDnsClient, readDnsServers } from '../host/dns-client.ts';
import { findRefusal, refuseClient } from './refuse-client.ts';
import { runSmtpd, type SmtpdOptions } from './run-smtpd.ts';

const EXIT_REFUSED = 0;
const EXIT_BROKEN = 1;
const DELAY_MAX_SECONDS = 300;
const TALK_MS = 60_000;
const TOO_EARLY = bytesOf('451 You spoke before the greeting');

/** Serves one session as runSmtpd() does, unless the client is refused: then the exit code is 0. Never rejects. */
export async function runScreenedSmtpd(options: SmtpdOptions): Promise<number> {
  const { env, clock, output } = options;
  const lists = listsOf(env['RBL'] ?? '');
  const delayMs = delaySecondsOf(env['GREETDELAY'] ?? '') * 1000;
  if (lists.length === 0 && delayMs === 0) return runSmtpd(options);
  const ip = bytesOf(env['TCPREMOTEIP'] ?? '');
  const given = env['RBLSMTPD'];
  const dnsCacheIp = env['DNSCACHEIP'];
  const askDns = createDnsClient({
    servers: readDnsServers(dnsCacheIp === undefined ? undefined : bytesOf(dnsCacheIp)),
    clock,
  });
  const screening = findRefusal({
    ip,
    lists,
    given: given === undefined ? undefined : Buffer.from(given),
    askDns,
  });
  const first = await firstRead(options, delayMs);
  if (first.state === 'ended') return EXIT_BROKEN;
  const refusal = (await screening) ?? (first.state === 'early' ? TOO_EARLY : undefined);
  if (refusal === undefined) return runSmtpd({ ...options, input: first.input });
  await refuseClient(refusal, {
    input: first.input,
    output,
    clock,
    timeoutMs: TALK_MS,
    ip,
    pid: process.pid,
  });
  return EXIT_REFUSED;
}

function listsOf(value: string): ClientList[] {
  const words = value.split(' ').filter((word) => word !== '');
  return words.map((word) => ({
    base: bytesOf(word.replace(/^[-+]/, '')),
    isAntiList: word.startsWith('+'),
    isPermanent: word.startsWith('-'),
    failsClosed: false,
  }));
}

function delaySecondsOf(value: string): number {
  return Math.min(Number(/^[0-9]{0,9}/.exec(value)?.[0] ?? ''), DELAY_MAX_SECONDS);
}

interface FirstRead {
  readonly state: 'silent' | 'early' | 'ended';
  /** Gives what was read in the meantime first. */
  readonly input: ByteInput;
}

/** Listens for that long, without losing what comes. */
async function firstRead({ input, clock }: SmtpdOptions, delayMs: number): Promise<FirstRead> {
  if (delayMs === 0) return { state: 'silent', input };
  let pending: Promise<Uint8Array | undefined> | undefined = input.read();
  let callOff = () => {};
  const timeIsOver = new Promise<'silent'>((resolve) => {
    callOff = clock.after(delayMs, () => resolve('silent'));
  });
  const came = pending.then((bytes) => (bytes === undefined ? 'ended' : 'early'));
  const state = await Promise.race([came, timeIsOver]);
  callOff();
  const read = () => {
    const next = pending ?? input.read();
    pending = undefined;
    return next;
  };
  return { state, input: { read } };
}
