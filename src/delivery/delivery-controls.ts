// Reads the control files of delivery: names, defaults and formats of qmail-send and qmail-remote.
// Source: the qmail-control, qmail-send and qmail-remote manual pages.

import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { type DomainMap, parseDomainMap, parseDomainSet } from '../core/format/domain-map.ts';
import { type DestinationRules, parseDestinationRules } from '../core/policy/destination-rules.ts';
import type { RecipientControls } from '../core/policy/recipient.ts';
import { readControlLine, readControlLineOr, readControlList, readControlNumber } from '../host/control.ts';
import { SystemError } from '../host/system-error.ts';
import type { DeliveryPolicy } from './delivery.ts';

/** Everything that delivery and the classification of recipients take from control files. */
export interface DeliveryControls extends DeliveryPolicy, RecipientControls {
  readonly virtualdomains: DomainMap;
  /** What we call ourselves to other hosts. */
  readonly helohost: string;
  /** For one attempt to connect, seconds. */
  readonly timeoutconnect: number;
  /** For one answer of the other host, seconds. */
  readonly timeoutremote: number;
}

/**
 * Reads `HOME/control`.
 * @throws SystemError when a file cannot be read or understood, or neither `me` nor both of `locals` and `helohost` exist
 */
export function readDeliveryControls(home: string): DeliveryControls {
  const me = readControlLine(home, 'me');
  const line = (name: string, word?: string) => readControlLineOr(home, name, me, word);
  const list = (name: string) => readControlList(home, name);
  const locals = list('locals') ?? (me && [me]);
  const helohost = readControlLine(home, 'helohost') ?? me;
  if (locals === undefined || helohost === undefined) {
    throw new SystemError('find', `${home}/control/me`, 'it names this host, and no other file does');
  }
  return {
    locals: parseDomainSet(locals),
    percenthack: parseDomainSet(list('percenthack') ?? []),
    virtualdomains: parseDomainMap(list('virtualdomains') ?? []),
    envnoathost: line('envnoathost'),
    smtproutes: parseDomainMap(list('smtproutes') ?? []),
    destinations: readDestinationRules(home),
    helohost: textOf(helohost),
    queuelifetime: readControlNumber(home, 'queuelifetime', 604_800),
    concurrencylocal: readControlNumber(home, 'concurrencylocal', 10),
    concurrencyremote: readControlNumber(home, 'concurrencyremote', 20),
    timeoutconnect: readControlNumber(home, 'timeoutconnect', 60),
    timeoutremote: readControlNumber(home, 'timeoutremote', 1200),
    bouncefrom: readControlLine(home, 'bouncefrom') ?? bytesOf('MAILER-DAEMON'),
    bouncehost: line('bouncehost'),
    doublebounceto: readControlLine(home, 'doublebounceto') ?? bytesOf('postmaster'),
    doublebouncehost: line('doublebouncehost'),
    ...readNoticeControls(home),
  };
}

function readNoticeControls(home: string) {
  const bounceformat = textOf(readControlLine(home, 'bounceformat') ?? bytesOf('report'));
  if (bounceformat !== 'report' && bounceformat !== 'qmail') {
    const reason = `"${bounceformat}" is neither report nor qmail`;
    throw new SystemError('understand', `${home}/control/bounceformat`, reason);
  }
  return {
    bounceformat,
    bouncemaxbytes: readControlNumber(home, 'bouncemaxbytes', 100_000),
    bouncerate: readControlNumber(home, 'bouncerate', 100),
    bouncerateall: readControlNumber(home, 'bouncerateall', 100_000),
    delaywarning: readControlNumber(home, 'delaywarning', 14_400),
  } as const;
}

/** Reads `HOME/control/destinations`, which may be missing. @throws SystemError when it cannot be read or understood */
export function readDestinationRules(home: string): DestinationRules {
  const rules = parseDestinationRules(readControlList(home, 'destinations') ?? []);
  if (typeof rules === 'string') throw new SystemError('understand', `${home}/control/destinations`, rules);
  return rules;
}
