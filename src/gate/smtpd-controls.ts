// What qmail-smtpd reads before it says anything: control files and the variables that override them. Read anew for each
// session. Source: the qmail-smtpd manual page.

import type { Environment } from '../client/qmqp-submit.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseControlNumber } from '../core/format/control-file.ts';
import { type DomainMap, parseDomainSet } from '../core/format/domain-map.ts';
import { parseSmtpExtensions, type SmtpExtensions } from '../core/protocol/smtp/server-extensions.ts';
import { readControlLine, readControlList, readControlNumber } from '../host/control.ts';
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

const TIMEOUT_SECONDS = 1200;
/** As a number of 32 bits with a sign, these are negative. */
const NEGATIVE_FROM = 2 ** 31;
const DATABYTES_HIGHEST = 2 ** 32 - 1;

/** Reads them. @throws SystemError if a file cannot be read, lacks, or says what nobody understands */
export function readSmtpdControls(home: string, env: Environment): SmtpdControls {
  if (!canEnter(home))
    throw new SystemError('enter', home, new Error('it is no folder that can be searched'));
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
    sizeMax: readDatabytes(home, env['DATABYTES']),
    rcpthosts: rcpthosts && parseDomainSet(rcpthosts),
    badmailfrom: badmailfrom && parseDomainSet(badmailfrom),
    localiphost: readControlLine(home, 'localiphost') ?? me,
    extensions: readExtensions(home, env['SMTPEXTENSIONS']),
  };
}

function timeoutSeconds(number: number): number {
  return number === 0 || number >= NEGATIVE_FROM ? 1 : number;
}

function readDatabytes(home: string, variable: string | undefined): number {
  const file = readControlNumber(home, 'databytes', 0);
  const databytes = variable === undefined ? file : (parseControlNumber(Buffer.from(variable)) ?? 0);
  return Math.min(databytes, DATABYTES_HIGHEST - 1);
}

/** From the variable, with blanks between, if that is set; else from the file. */
function readExtensions(home: string, variable: string | undefined): SmtpExtensions {
  const items =
    variable === undefined
      ? (readControlList(home, 'smtpextensions') ?? [])
      : variable
          .split(' ')
          .filter((item) => item !== '')
          .map(bytesOf);
  const parsed = parseSmtpExtensions(items);
  if ('extensions' in parsed) return parsed.extensions;
  const place = variable === undefined ? `${home}/control/smtpextensions` : 'SMTPEXTENSIONS';
  throw new SystemError(
    'understand',
    place,
    new Error(`unknown item "${parsed.unknown}"; see qmail-smtpd(8)`),
  );
}
