// What tcpserver is told on its command line. Numbers are the digits that an argument begins with, as in the original; none
// are 0. Source: the tcpserver page of cr.yp.to/ucspi-tcp.

import { textOf } from '../core/bytes/bytes.ts';
import type { ParsedOptions } from '../core/format/short-options.ts';
import type { Environment } from '../host/raw-arguments.ts';

/** How much is printed: nothing, errors, or every connection too. */
export type Verbosity = 0 | 1 | 2;

/** The options and operands. */
export interface TcpserverOptions {
  readonly verbosity: Verbosity;
  readonly limit: number;
  /** The rules' file as bytes of its path; all may connect if there is none. */
  readonly rules: Uint8Array | undefined;
  /** Whether a rules file that does not exist is like none. */
  readonly mayLackRules: boolean;
  readonly banner: Uint8Array;
  /** 0 leaves it as it is. */
  readonly gid: number;
  readonly uid: number;
  readonly printPort: boolean;
  readonly backlog: number;
  readonly noDelay: boolean;
  readonly askRemoteHost: boolean;
  readonly isParanoid: boolean;
  /** The local name; it is looked up if there is none. */
  readonly localHost: Uint8Array | undefined;
  readonly askRemoteInfo: boolean;
  readonly identTimeoutMs: number;
  readonly host: Uint8Array | undefined;
  readonly port: Uint8Array | undefined;
  /** The program with its arguments; empty if it was not given. */
  readonly program: readonly Uint8Array[];
}

type Settings = { -readonly [key in keyof TcpserverOptions]: TcpserverOptions[key] };

/** What the parsed words mean; the last of several options counts. */
export function readTcpserverOptions({ options, words }: ParsedOptions, env: Environment): TcpserverOptions {
  const [host, port, ...program] = words;
  const settings: Settings = { ...DEFAULTS, host, port, program };
  for (const { letter, argument } of options) apply(settings, { letter, argument, env });
  return settings;
}

const DEFAULTS = {
  verbosity: 1,
  limit: 40,
  rules: undefined,
  mayLackRules: false,
  banner: new Uint8Array(0),
  gid: 0,
  uid: 0,
  printPort: false,
  backlog: 20,
  noDelay: false,
  askRemoteHost: true,
  isParanoid: false,
  localHost: undefined,
  askRemoteInfo: true,
  identTimeoutMs: 26_000,
} as const;

interface Option {
  readonly letter: string;
  readonly argument: Uint8Array;
  readonly env: Environment;
}

const SWITCHES: { readonly [letter: string]: Partial<Settings> } = {
  q: { verbosity: 0 },
  Q: { verbosity: 1 },
  v: { verbosity: 2 },
  X: { mayLackRules: true },
  '1': { printPort: true },
  d: { noDelay: false },
  D: { noDelay: true },
  h: { askRemoteHost: true },
  H: { askRemoteHost: false },
  p: { isParanoid: true },
  P: { isParanoid: false },
  r: { askRemoteInfo: true },
  R: { askRemoteInfo: false },
  // Accepted for the sake of old command lines: IP options cannot be changed from here.
  o: {},
  O: {},
};

function apply(settings: Settings, { letter, argument, env }: Option): void {
  Object.assign(settings, SWITCHES[letter]);
  if (letter === 'c') settings.limit = leadingNumber(argument);
  else if (letter === 'x') settings.rules = argument;
  else if (letter === 'B') settings.banner = argument;
  else if (letter === 'g') settings.gid = leadingNumber(argument);
  else if (letter === 'u') settings.uid = leadingNumber(argument);
  else if (letter === 'b') settings.backlog = leadingNumber(argument);
  else if (letter === 'l') settings.localHost = argument;
  else if (letter === 't') settings.identTimeoutMs = leadingNumber(argument) * 1000;
  else if (letter === 'U') {
    const [uid, gid] = [env.get('UID'), env.get('GID')];
    if (uid !== undefined) settings.uid = leadingNumber(uid);
    if (gid !== undefined) settings.gid = leadingNumber(gid);
  }
}

/** The number that the digits at the start make. */
function leadingNumber(bytes: Uint8Array): number {
  const digits = /^[0-9]{0,15}/.exec(textOf(bytes))?.[0] ?? '';
  return Number(digits);
}
