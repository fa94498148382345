// What the environment, the control files and the options tell an injection, as plain values. Empty counts as set.
// Source: the qmail-inject manual page (ENVIRONMENT VARIABLES).

import { bytesOf, concatBytes } from '../bytes/bytes.ts';
import type { InjectObserver } from './inject-observer.ts';
import type { RewriteDefaults } from './rewrite-address.ts';
import { parseTokens, type TokenList } from './tokens.ts';

/** Why a message cannot be taken: the exit code, and the text after `qmail-inject: fatal: ` as it is to be printed. */
export interface InjectFailure {
  readonly exit: number;
  readonly text: Uint8Array;
}

/** Who sends, and how addresses of the sender are made. */
export interface InjectUser {
  readonly user: Uint8Array;
  readonly host: Uint8Array | undefined;
  readonly name: Uint8Array | undefined;
  readonly senderUser: Uint8Array;
  readonly senderHost: Uint8Array | undefined;
  /** Letter c: the generated From is `addr (name)`. */
  readonly nameAsComment: boolean;
  /** Letter r: the sender names the recipient (VERP). */
  readonly perRecipient: boolean;
  /** Letter m: the sender names the message. */
  readonly perMessage: boolean;
  /** Letters s, f, i: incoming fields of that kind are dropped unseen. */
  readonly dropReturnPath: boolean;
  readonly dropFrom: boolean;
  readonly dropMessageId: boolean;
}

/** Where envelope recipients come from: the options -a, -h, -H. */
export type RecipientSource = 'arguments' | 'header' | 'both';

/** All that an injection needs to know beforehand. */
export interface InjectSettings {
  readonly user: InjectUser;
  readonly defaults: RewriteDefaults;
  /** Host in a generated Message-ID, up to its first NUL. */
  readonly idHost: Uint8Array;
  /** Addresses of mailing lists that the user reads, or undefined for no Mail-Followup-To. */
  readonly followupLists: readonly Uint8Array[] | undefined;
  readonly recipientSource: RecipientSource;
  /** The moment of the injection, milliseconds since 1970. */
  readonly nowMs: number;
  readonly pid: number;
  readonly observer?: InjectObserver | undefined;
}

/** Looks up an environment variable. */
export type Variable = (name: string) => Uint8Array | undefined;

/** Variables that say who sends; of each kind the first that is set counts. */
export const USER_VARIABLES = {
  user: ['QMAILUSER', 'MAILUSER', 'USER', 'LOGNAME'],
  host: ['QMAILHOST', 'MAILHOST'],
  name: ['QMAILNAME', 'MAILNAME', 'NAME'],
} as const;

/** Reads the user's variables. */
export function readInjectUser(variable: Variable): InjectUser {
  const first = (names: readonly string[]): Uint8Array | undefined => {
    for (const name of names) {
      const value = variable(name);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const letters = variable('QMAILINJECT') ?? new Uint8Array(0);
  const has = (letter: string): boolean => {
    for (let i = 0; i < letters.length; i++) if (letters[i] === letter.charCodeAt(0)) return true;
    return false;
  };
  const user = first(USER_VARIABLES.user) ?? bytesOf('anonymous');
  const host = first(USER_VARIABLES.host);
  return {
    user,
    host,
    name: first(USER_VARIABLES.name),
    senderUser: variable('QMAILSUSER') ?? user,
    senderHost: variable('QMAILSHOST') ?? host,
    nameAsComment: has('c'),
    perRecipient: has('r'),
    perMessage: has('m'),
    dropReturnPath: has('s'),
    dropFrom: has('f'),
    dropMessageId: has('i'),
  };
}

/** Tokens of a separator and a default host or domain, or the failure if that has none. */
export function parseDefault(separator: '@' | '.', value: Uint8Array): TokenList | InjectFailure {
  const text = concatBytes([bytesOf(separator), value]);
  return parseTokens(text) ?? unparsableLine(text);
}

/** The failure for a header line, or text in its place, that is no list of addresses. */
export function unparsableLine(line: Uint8Array): InjectFailure {
  return { exit: 100, text: concatBytes([bytesOf('unable to parse this line:\n'), line]) };
}

/** The failure for a recipient argument. */
export function unparsableAddress(address: Uint8Array): InjectFailure {
  return { exit: 100, text: concatBytes([bytesOf('unable to parse address: '), address, bytesOf('\n')]) };
}
