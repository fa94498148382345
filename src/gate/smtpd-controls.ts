// What qmail-smtpd reads before it says anything: control files and the variables that override them. What a file says
// counts from the next session on; within a server of many sessions, a second later at the latest. Source: the qmail-smtpd manual page.

import { statSync } from 'node:fs';
import type { Environment } from '../client/qmqp-submit.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseControlNumber } from '../core/format/control-file.ts';
import { type DomainMap, parseDomainSet } from '../core/format/domain-map.ts';
import { parseSmtpExtensions, type SmtpExtensions } from '../core/protocol/smtp/server-extensions.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine, readControlList, readControlNumber } from '../host/control.ts';
import { glance } from '../host/glance.ts';
import { canEnter } from '../host/invocation.ts';
import { SystemError } from '../host/system-error.ts';

/** Settings of one session. */
export interface SmtpdControls {
  /** What follows 220, 250 and 221; characters are bytes. */
  readonly greeting: string;
  readonly timeoutMs: number;
  /** Bytes of a message; 0 for no limit. */
  readonly sizeMax: number;
  /** Whom mail is taken for; undefined for everybody. */
  readonly rcpthosts: DomainMap | undefined;
  readonly badmailfrom: DomainMap | undefined;
  /** What replaces a literal of an address of this host; undefined for nothing. */
  readonly localiphost: Uint8Array | undefined;
  readonly extensions: SmtpExtensions;
}

/** Gives the settings of a session; see {@link readSmtpdControls}. */
export type ReadSmtpdControls = (home: string, env: Environment) => SmtpdControls;

/** What is in the files, whatever the environment says. */
interface ControlFiles extends Omit<SmtpdControls, 'sizeMax' | 'extensions'> {
  readonly databytes: number;
  readonly extensionItems: readonly Uint8Array[];
}

const NAMES = [
  ...['me', 'smtpgreeting', 'localiphost', 'timeoutsmtpd', 'rcpthosts', 'badmailfrom', 'databytes'],
  'smtpextensions',
];
const TIMEOUT_SECONDS = 1200;
/** As a number of 32 bits with a sign, these are negative. */
const NEGATIVE_FROM = 2 ** 31;
const DATABYTES_HIGHEST = 2 ** 32 - 1;

/** Reads them. @throws SystemError if a file cannot be read, lacks, or says what nobody understands */
export function readSmtpdControls(home: string, env: Environment): SmtpdControls {
  assertEnterable(home);
  return applyEnvironment(readFiles(home), home, env);
}

/**
 * The same for a process with many sessions: files are read again only when one has changed, so that sessions share what
 * they hold. Whether they have is looked at once a second.
 */
export function cacheSmtpdControls(clock: Clock): ReadSmtpdControls {
  const homes = new Map<string, () => ControlFiles>();
  return (home, env) => {
    let files = homes.get(home);
    if (files === undefined) {
      files = glance(clock, keepFiles(home));
      homes.set(home, files);
    }
    return applyEnvironment(files(), home, env);
  };
}

/** Reads the files of a home, those of the last time if none has changed. */
function keepFiles(home: string): () => ControlFiles {
  let known: { readonly version: string; readonly files: ControlFiles } | undefined;
  return () => {
    assertEnterable(home);
    // Before the files are read: a change in between is seen the next time.
    const version = versionOf(home);
    if (known?.version !== version) known = { version, files: readFiles(home) };
    return known.files;
  };
}

function assertEnterable(home: string): void {
  if (!canEnter(home))
    throw new SystemError('enter', home, new Error('it is no folder that can be searched'));
}

/** What tells the state of all files from another one. */
function versionOf(home: string): string {
  return NAMES.map((name) => {
    const status = statSync(`${home}/control/${name}`, { throwIfNoEntry: false });
    return status && [status.dev, status.ino, status.mtimeMs, status.ctimeMs, status.size].join();
  }).join(' ');
}

function readFiles(home: string): ControlFiles {
  const me = readControlLine(home, 'me');
  const greeting = readControlLine(home, 'smtpgreeting') ?? me;
  if (greeting === undefined)
    throw new SystemError(
      'read',
      `${home}/control/smtpgreeting`,
      new Error('neither it nor control/me exists'),
    );
  const rcpthosts = readControlList(home, 'rcpthosts');
  const badmailfrom = readControlList(home, 'badmailfrom');
  return {
    greeting: textOf(greeting),
    timeoutMs: timeoutSeconds(readControlNumber(home, 'timeoutsmtpd', TIMEOUT_SECONDS)) * 1000,
    databytes: readControlNumber(home, 'databytes', 0),
    rcpthosts: rcpthosts && parseDomainSet(rcpthosts),
    badmailfrom: badmailfrom && parseDomainSet(badmailfrom),
    localiphost: readControlLine(home, 'localiphost') ?? me,
    extensionItems: readControlList(home, 'smtpextensions') ?? [],
  };
}

function timeoutSeconds(number: number): number {
  return number === 0 || number >= NEGATIVE_FROM ? 1 : number;
}

function applyEnvironment(files: ControlFiles, home: string, env: Environment): SmtpdControls {
  const variable = env['DATABYTES'];
  const databytes =
    variable === undefined ? files.databytes : (parseControlNumber(Buffer.from(variable)) ?? 0);
  return {
    ...files,
    sizeMax: Math.min(databytes, DATABYTES_HIGHEST - 1),
    extensions: extensionsOf(files, home, env['SMTPEXTENSIONS']),
  };
}

/** From the variable, with blanks between, if that is set; else from the file. */
function extensionsOf(files: ControlFiles, home: string, variable: string | undefined): SmtpExtensions {
  const words = variable?.split(' ').filter((item) => item !== '');
  const parsed = parseSmtpExtensions(words === undefined ? files.extensionItems : words.map(bytesOf));
  if ('extensions' in parsed) return parsed.extensions;
  const place = variable === undefined ? `${home}/control/smtpextensions` : 'SMTPEXTENSIONS';
  throw new SystemError(
    'understand',
    place,
    new Error(`unknown item "${parsed.unknown}"; see qmail-smtpd(8)`),
  );
}
