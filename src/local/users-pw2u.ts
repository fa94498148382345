// qmail-pw2u: turns a list of accounts, as in /etc/passwd, into users/assign: each account's name, and what begins with the name
// and a dash, is its own. Invariant: a text that is cut off by an error lacks the last line, so that qmail-newu refuses it.
// Source: the qmail-pw2u manual page.

import { statSync } from 'node:fs';
import { failTemporarily } from '../client/fatal.ts';
import { insist, Trouble } from '../client/trouble.ts';
import { bytesOf, concatBytes, equalBytes, findByte } from '../core/bytes/bytes.ts';
import { LineCutter } from '../core/bytes/line-cutter.ts';
import { parseControlList } from '../core/format/control-file.ts';
import { DomainMap, parseDomainMap, parseDomainSet } from '../core/format/domain-map.ts';
import { type Account, parseAccount } from '../core/format/passwd.ts';
import { parseShortOptions } from '../core/format/short-options.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { readFileIfPresent } from '../host/control.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { errorCode } from '../host/system-error.ts';

const PROGRAM = 'qmail-pw2u';
const STDOUT = 1;
const COLON = 58;
const UPPER_A = 65;
const UPPER_Z = 90;
const INPUT_BYTES = 65_536;
/** What is written at a time: an error leaves nothing behind of what was not written yet. */
const OUTPUT_BYTES = 8192;
const ALIAS = bytesOf('alias');

/** What the options say. */
interface Pw2uOptions {
  /** `skip` users without a home of their own; `stop` where a home is missing; `trust` the list. */
  homes: 'skip' | 'stop' | 'trust';
  mayHaveUpperCase: boolean;
  /** Between a name and an extension; empty for no extensions. */
  separator: Uint8Array;
  /** Between `.qmail` and an extension. */
  dash: Uint8Array;
}

/** Runs qmail-pw2u to its end; returns its exit code. */
export function runQmailPw2u({ args, home }: Pick<ProgramCall, 'args' | 'home'>): number {
  const parsed = parseShortOptions(args, { plain: '/ohHuUC', withArgument: 'c', withRest: '' });
  if (parsed.problem !== undefined) {
    complain(`${PROGRAM}: ${parsed.problem}\n`);
    return 100;
  }
  const options: Pw2uOptions = {
    homes: 'skip',
    mayHaveUpperCase: false,
    separator: bytesOf('-'),
    dash: bytesOf('-'),
  };
  for (const { letter, argument } of parsed.options) apply(options, letter, argument);
  try {
    insist(['chdir'], () => process.chdir(home));
    new AssignmentsMaker(options).run();
    return 0;
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    return failTemporarily(PROGRAM, 'unable to ', ...error.action);
  }
}

function apply(options: Pw2uOptions, letter: string, argument: Uint8Array): void {
  if (letter === '/') options.dash = bytesOf('-/');
  else if (letter === 'o') options.homes = 'skip';
  else if (letter === 'h') options.homes = 'stop';
  else if (letter === 'H') options.homes = 'trust';
  else if (letter === 'u') options.mayHaveUpperCase = true;
  else if (letter === 'U') options.mayHaveUpperCase = false;
  else if (letter === 'c') options.separator = argument.subarray(0, 1);
  else options.separator = new Uint8Array(0);
}

class AssignmentsMaker {
  readonly #options: Pw2uOptions;
  readonly #include = readSet('users/include');
  readonly #exclude = readSet('users/exclude');
  readonly #mailNames = parseDomainMap(readList('users/mailnames') ?? []);
  /** Fields of each account that was taken, by its name. */
  readonly #users = new DomainMap();
  #hasAlias = false;
  #output: Uint8Array[] = [];
  #outputBytes = 0;

  constructor(options: Pw2uOptions) {
    this.#options = options;
  }

  run(): void {
    readLines(readInput(), (line) => this.#addAccount(line));
    if (!this.#hasAlias) throw new Trouble(['find alias user'], undefined);
    readLines(readText('users/subusers'), (line) => this.#addSubuser(line));
    this.#put(readText('users/append'));
    this.#put(bytesOf('.\n'));
    this.#flush();
  }

  #addAccount(line: Uint8Array): void {
    const account = parseAccount(line);
    if (account === undefined || !this.#takes(account)) return;
    const { name, uidText, gidText, home } = account;
    const fields = concatBytes([name, uidText, gidText, home].flatMap((field) => [bytesOf(':'), field]));
    this.#users.set(name, fields);
    const { separator, dash } = this.#options;
    if (equalBytes(name, ALIAS)) {
      this.#put(bytesOf('+'), fields, bytesOf(':'), dash, bytesOf('::\n'));
      this.#hasAlias = true;
    }
    for (const mailName of split(this.#mailNames.get(name) ?? name)) {
      this.#put(bytesOf('='), mailName, fields, bytesOf(':::\n'));
      if (separator.length > 0)
        this.#put(bytesOf('+'), mailName, separator, fields, bytesOf(':'), dash, bytesOf('::\n'));
    }
  }

  #takes({ name, uid, home }: Account): boolean {
    if (uid === 0) return false;
    const { mayHaveUpperCase, homes } = this.#options;
    if (!mayHaveUpperCase && name.some((byte) => byte >= UPPER_A && byte <= UPPER_Z)) return false;
    if (this.#include !== undefined && !this.#include.has(name)) return false;
    if (this.#exclude?.has(name) === true) return false;
    return homes === 'trust' || ownerOf(home, homes === 'stop') === uid;
  }

  /** `SUB:USER:PRE:`, a name whose mail is another user's with an extension. */
  #addSubuser(line: Uint8Array): void {
    const parts = cutAtColons(line, 3);
    const [sub, user] = parts;
    if (sub === undefined || user === undefined) return;
    const fields = this.#users.get(user);
    if (fields === undefined) throw new Trouble(['find ', user, ' user for subuser'], undefined);
    const [, , pre] = parts;
    if (pre === undefined) return;
    const { separator, dash } = this.#options;
    this.#put(bytesOf('='), sub, fields, bytesOf(':'), dash, bytesOf(':'), pre, bytesOf(':\n'));
    if (separator.length > 0)
      this.#put(bytesOf('+'), sub, separator, fields, bytesOf(':'), dash, bytesOf(':'), pre, bytesOf('-:\n'));
  }

  #put(...parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      if (this.#outputBytes + part.length > OUTPUT_BYTES) this.#flush();
      this.#output.push(part);
      this.#outputBytes += part.length;
    }
  }

  #flush(): void {
    const bytes = concatBytes(this.#output);
    this.#output = [];
    this.#outputBytes = 0;
    insist(['write output'], () => writeBlocking(STDOUT, bytes));
  }
}

/** The parts that end in the first `max` colons; fewer if there are not so many. */
function cutAtColons(line: Uint8Array, max: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0; parts.length < max; ) {
    const colon = findByte(line, COLON, from);
    if (colon < 0) break;
    parts.push(line.subarray(from, colon));
    from = colon + 1;
  }
  return parts;
}

/** The parts between colons that are not empty. */
function split(names: Uint8Array): Uint8Array[] {
  const whole = concatBytes([names, bytesOf(':')]);
  return cutAtColons(whole, whole.length).filter((part) => part.length > 0);
}

function readLines(text: Uint8Array, take: (line: Uint8Array) => void): void {
  const lines = new LineCutter(take);
  lines.receive(text);
  lines.receiveEnd();
}

function readInput(): Uint8Array {
  const pieces: Uint8Array[] = [];
  return insist(['read input'], () => {
    for (;;) {
      const piece = new Uint8Array(INPUT_BYTES);
      const count = readStandardInput(piece);
      if (count === 0) return concatBytes(pieces);
      pieces.push(piece.subarray(0, count));
    }
  });
}

function readText(path: string): Uint8Array {
  return insist(['read controls'], () => readFileIfPresent(path)) ?? new Uint8Array(0);
}

function readList(path: string): Uint8Array[] | undefined {
  const content = insist(['read controls'], () => readFileIfPresent(path));
  return content && parseControlList(content);
}

function readSet(path: string): DomainMap | undefined {
  const list = readList(path);
  return list && parseDomainSet(list);
}

/** Who owns a home; undefined if it is missing. @throws Trouble if that is an error, or it cannot be told */
function ownerOf(home: Uint8Array, mustExist: boolean): number | undefined {
  return insist(['stat ', home], () => {
    try {
      return statSync(Buffer.from(home)).uid;
    } catch (error) {
      if (mustExist || errorCode(error) !== 'ENOENT') throw error;
      return undefined;
    }
  });
}
