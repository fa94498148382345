// Asks the servers of control/rcptcheck for a recipient at RCPT time, so that an unknown one is refused there although QMQP
// has one reply for a whole message. Invariant: a recipient is refused for good only if a server has said so; what goes wrong
// accepts it or refuses it for now, as control/rcptcheckfail says. What is remembered is bounded in number and time.
// Source: the qmail-smtpd manual page of this package.

import { textOf } from '../core/bytes/bytes.ts';
import { parseSocketmapAddress, type SocketmapAddress } from '../core/format/socketmap-address.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { SocketmapReply } from '../core/protocol/socketmap/messages.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine, readControlList } from '../host/control.ts';
import { fileVersion } from '../host/file-version.ts';
import { glance } from '../host/glance.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import { AnswerCache } from './answer-cache.ts';
import { SocketmapClient } from './socketmap-client.ts';

/** What a check works with. */
export interface RecipientCheckOptions {
  readonly clock: Clock;
  /** Told what only the administrator can mend; one line without its end. */
  readonly complain?: ((text: string) => void) | undefined;
}

/** How long it is remembered that a recipient exists: one that was removed gets a notice of failure meanwhile. */
export const FOUND_MS = 600_000;
/** How long it is remembered that a recipient does not exist: one that was added is refused meanwhile. */
export const MISSING_MS = 60_000;
/** How long a server that did not answer is not asked. */
export const AVOID_MS = 10_000;
const ANSWERS_MAX = 10_000;
const REASON_LENGTH_MAX = 200;

const NO_MAILBOX: Outcome = { letter: 'D', text: 'sorry, no mailbox here by that name (#5.1.1)' };
const CANNOT_TELL: Outcome = { letter: 'Z', text: 'unable to check recipients at the moment (#4.4.3)' };
const NO_CONTROLS: Outcome = { letter: 'Z', text: 'unable to read controls (#4.3.0)' };

/** Why a recipient is refused; undefined if nothing is said against it, or there is nobody to ask. Never rejects. */
export type CheckRecipient = (recipient: Uint8Array) => Promise<Outcome | undefined>;

/** Makes the checks of a process: one for each home, which all its sessions share. */
export function createRecipientChecks(options: RecipientCheckOptions): (home: string) => CheckRecipient {
  const checks = new Map<string, CheckRecipient>();
  return (home) => {
    let check = checks.get(home);
    if (check === undefined) {
      const made = new RecipientCheck(home, options);
      check = (recipient) => made.check(recipient);
      checks.set(home, check);
    }
    return check;
  };
}

/** The check of one installation. */
class RecipientCheck {
  readonly #home: string;
  readonly #options: RecipientCheckOptions;
  readonly #currentVersion: () => string;
  #version: string | undefined;
  #servers: CheckServer[] = [];
  #failsClosed = false;
  #trouble: string | undefined;
  #answers: AnswerCache<Outcome | undefined>;

  constructor(home: string, options: RecipientCheckOptions) {
    this.#home = home;
    this.#options = options;
    this.#answers = new AnswerCache(options.clock, ANSWERS_MAX);
    const paths = ['rcptcheck', 'rcptcheckfail'].map((name) => `${home}/control/${name}`);
    this.#currentVersion = glance(options.clock, () => paths.map((path) => fileVersion(path)).join());
  }

  async check(recipient: Uint8Array): Promise<Outcome | undefined> {
    if (!this.#isReadable()) return NO_CONTROLS;
    const servers = this.#servers;
    if (servers.length === 0) return undefined;
    const answers = this.#answers;
    const key = textOf(recipient);
    const known = answers.get(key);
    if (known !== undefined) return known.answer;
    const failure = this.#failsClosed ? CANNOT_TELL : undefined;
    for (const server of servers) {
      const reply = await server.ask(recipient);
      if (reply === undefined || reply.status === 'TEMP' || reply.status === 'TIMEOUT') continue;
      const answer = outcomeOf(reply);
      answers.set(key, answer, answer === undefined ? FOUND_MS : MISSING_MS);
      return answer;
    }
    return failure;
  }

  /** Brings the settings up to date; false if they cannot be read or understood. */
  #isReadable(): boolean {
    let trouble: string | undefined;
    try {
      const version = this.#currentVersion();
      if (version === this.#version) return true;
      this.#read();
      this.#version = version;
    } catch (error) {
      trouble = reasonOf(error);
      this.#version = undefined;
      if (trouble !== this.#trouble) this.#options.complain?.(trouble);
    }
    this.#trouble = trouble;
    return trouble === undefined;
  }

  #read(): void {
    const { clock } = this.#options;
    const addresses = readAddresses(this.#home);
    this.#failsClosed = readFailsClosed(this.#home);
    for (const server of this.#servers) server.close();
    this.#servers = addresses.map((address) => new CheckServer(address, this.#options));
    this.#answers = new AnswerCache(clock, ANSWERS_MAX);
  }
}

/** A server, and whether it has failed lately. */
class CheckServer {
  readonly #client: SocketmapClient;
  readonly #place: string;
  readonly #options: RecipientCheckOptions;
  #avoidUntilMs = 0;
  #isLost = false;

  constructor(address: SocketmapAddress, options: RecipientCheckOptions) {
    this.#client = new SocketmapClient(address, options.clock);
    this.#place = address.kind === 'inet' ? `${address.host} port ${address.port}` : textOf(address.path);
    this.#options = options;
  }

  /** The reply, or undefined if there is none now; then it is not asked again for a while. */
  async ask(key: Uint8Array): Promise<SocketmapReply | undefined> {
    const { clock, complain } = this.#options;
    if (clock.steadyMs() < this.#avoidUntilMs) return undefined;
    const reply = await this.#client.ask(key);
    const isLost = reply === undefined;
    this.#avoidUntilMs = isLost ? clock.steadyMs() + AVOID_MS : 0;
    if (isLost !== this.#isLost)
      complain?.(`Recipient check at ${this.#place} ${isLost ? 'does not answer' : 'answers again'}`);
    this.#isLost = isLost;
    return reply;
  }

  close(): void {
    this.#client.close();
  }
}

function outcomeOf({ status, data }: SocketmapReply): Outcome | undefined {
  if (status === 'OK') return undefined;
  return status === 'NOTFOUND' ? NO_MAILBOX : { letter: 'D', text: refusalText(data) };
}

/** A reason that somebody else gives, as part of a reply: printable ASCII, bounded, with a code. */
function refusalText(reason: Uint8Array): string {
  let text = '';
  for (const byte of reason.subarray(0, REASON_LENGTH_MAX))
    text += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '?';
  if (text.trim() === '') text = 'sorry, that recipient is refused';
  return text.includes('(#5.') ? text : `${text} (#5.7.1)`;
}

function readAddresses(home: string): SocketmapAddress[] {
  return (readControlList(home, 'rcptcheck') ?? []).map((entry) => {
    const address = parseSocketmapAddress(entry);
    if (address !== undefined) return address;
    throw notUnderstood(home, 'rcptcheck', entry);
  });
}

function readFailsClosed(home: string): boolean {
  const line = readControlLine(home, 'rcptcheckfail');
  const word = line === undefined ? 'open' : textOf(line);
  if (line !== undefined && word !== 'open' && word !== 'closed')
    throw notUnderstood(home, 'rcptcheckfail', line);
  return word === 'closed';
}

function notUnderstood(home: string, name: string, entry: Uint8Array): SystemError {
  const shown = textOf(entry.subarray(0, 100));
  const reason = new Error(`"${shown}" is not what it may say; see qmail-smtpd(8)`);
  return new SystemError('understand', `${home}/control/${name}`, reason);
}
