// One local delivery, from the address to the outcome: who gets it, whether it can be done, and the run of qmail-local.
// Whatever cannot be done here and now is a temporary outcome whose text names what is in the way.
// Source: the qmail-lspawn manual page.

import { existsSync, fchownSync } from 'node:fs';
import { bytesOf, findByte, findLastByte } from '../core/bytes/bytes.ts';
import { isUtf8 } from '../core/bytes/utf8.ts';
import type { Assignment } from '../core/format/users-assign.ts';
import { outcomeOfLocal } from '../core/policy/local-report.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { readControlNumber, readFileIfPresent } from '../host/control.ts';
import { programOfHome } from '../host/home-program.ts';
import { reasonOf } from '../host/system-error.ts';
import { findAssignedUser } from './lspawn-controller.ts';
import { runLocalProgram } from './lspawn-program.ts';
import type { ReportPipes } from './lspawn-report-pipe.ts';
import type { ReceivedRequest } from './lspawn-request.ts';
import { findUntrusted } from './lspawn-trust.ts';

/** Where deliveries take place. */
export interface LspawnSettings {
  readonly home: string;
  /** Folder of our own programs. */
  readonly ownBin: string;
  readonly pipes: ReportPipes;
  /** Whether only root may be able to change what the delivery goes by. */
  readonly isGuarded: boolean;
}

const AT = 64;
const LF = 10;
const TIMEOUT_SECONDS = 3_600;
const DEFAULT_DELIVERY = bytesOf('./Mailbox');

/** Delivers a message to one local recipient; never rejects. */
export async function deliverLocally(request: ReceivedRequest, settings: LspawnSettings): Promise<Outcome> {
  try {
    return await deliver(request, settings);
  } catch (error) {
    const text = Buffer.from(reasonOf(error)).toString('latin1');
    return { letter: 'Z', text: `Unable to deliver here: ${text}. (#4.3.0)\n` };
  }
}

async function deliver(request: ReceivedRequest, settings: LspawnSettings): Promise<Outcome> {
  const { home, ownBin, isGuarded, pipes } = settings;
  const { address, sender, message } = request;
  const at = findLastByte(address, AT);
  const local = address.subarray(0, Math.max(at, 0));
  if (at < 0) return { letter: 'D', text: 'Sorry, address must include host name. (#5.1.3)\n' };
  if (at === 0) return { letter: 'K', text: '' };
  if (!isUtf8(address) || !isUtf8(sender))
    return { letter: 'D', text: 'Sorry, local delivery needs addresses in UTF-8. (#5.6.7)\n' };
  const program = programOfHome(home, ownBin, 'qmail-local');
  const getpw = programOfHome(home, ownBin, 'qmail-getpw');
  const untrusted = isGuarded ? findUntrusted(home, [program, getpw]) : undefined;
  if (untrusted !== undefined)
    return { letter: 'Z', text: `Unable to trust ${untrusted}: not only root can change it. (#4.3.5)\n` };
  const user = await findAssignedUser(local, { home, getpw });
  if (user === 'nobody') return { letter: 'Z', text: 'Nobody has this address any more. (#4.3.5)\n' };
  if (typeof user === 'number') return outcomeOfLocal(user, '');
  if (process.geteuid?.() === 0 && user.uid !== 0) fchownSync(message, user.uid, user.gid);
  const words = wordsFor(user, request, readDefaultDelivery(home));
  if (words === undefined)
    return { letter: 'Z', text: 'Unable to read users/cdb: it is not UTF-8. (#4.3.5)\n' };
  return runLocalProgram({
    program,
    home,
    user,
    words,
    message,
    env: environmentFor(home, ownBin),
    // 0 is no limit.
    timeoutMs: (readControlNumber(home, 'timeoutlocal', TIMEOUT_SECONDS) || Infinity) * 1000,
    pipes,
  });
}

/** What qmail-local is called with; undefined if Node could not hand on a word as it is. */
function wordsFor(
  { user, home, dash, ext }: Assignment,
  { address, sender }: ReceivedRequest,
  defaultDelivery: Uint8Array,
): string[] | undefined {
  const at = findLastByte(address, AT);
  const [local, domain] = [address.subarray(0, at), address.subarray(at + 1)];
  const words = [user, home, local, dash, ext, domain, sender, defaultDelivery];
  if (words.some((word) => !isUtf8(word) || findByte(word, 0) >= 0)) return undefined;
  return words.map((word) => Buffer.from(word).toString());
}

/** control/defaultdelivery without the LF at its end: it may have several lines. */
function readDefaultDelivery(home: string): Uint8Array {
  const content = readFileIfPresent(`${home}/control/defaultdelivery`) ?? DEFAULT_DELIVERY;
  let end = content.length;
  while (end > 0 && content[end - 1] === LF) end--;
  return content.subarray(0, end);
}

/**
 * Programs find this installation, and forward into it. In a home without programs the queue program is the hub's, not the
 * null client's that stands beside ours.
 */
function environmentFor(home: string, ownBin: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, QMAILHOME: home };
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET']) delete env[name];
  if (env['QMAILQUEUE'] === undefined && !existsSync(`${home}/bin`))
    env['QMAILQUEUE'] = `${ownBin}/hub-queue`;
  return env;
}
