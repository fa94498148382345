// What a hub's control files mean: the same functions that read them when it starts are called here, so that a hub that would not
// start is known before; and what it would do then that is hardly meant, above all relaying for the world.

import { textOf } from '../core/bytes/bytes.ts';
import { parseDomainMap } from '../core/format/domain-map.ts';
import { parseRelay } from '../core/policy/route.ts';
import { parseTlsRules } from '../core/policy/tls-rules.ts';
import { readDestinationRules } from '../delivery/delivery-controls.ts';
import { readLocalLmtp } from '../delivery/local-lmtp.ts';
import { readSmtpLogins } from '../delivery/smtp-logins.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import { readLocalDelivery } from '../host/users-cdb.ts';
import { readAllowedClients } from '../hub/allowed-clients.ts';
import { judgeByRules } from '../hub/client-judge.ts';
import { readQmqpTls } from '../hub/qmqp-listeners.ts';
import { showBytes } from '../setup/show-bytes.ts';
import { entriesIn, numberIn } from './control-values.ts';
import { type Finding, Findings } from './finding.ts';
import { faultOfRules, judgeRelayRules, judgeStrangers, tellFault } from './strangers.ts';

/** Reads a file as the hub does at its start. @throws Error that says what is wrong */
type Reader = (home: string) => unknown;

const READERS: readonly (readonly [file: string, read: Reader])[] = [
  ['qmqpclients', readAllowedClients],
  ['destinations', readDestinationRules],
  ['smtpauth', readSmtpLogins],
  ['locallmtp', readLocalLmtp],
  ['localdelivery', readLocalDelivery],
  ['tlspolicy', readTlsPolicy],
  ['tls', readTls],
];

/** The certificate of the hub, those of its clients in control/tlsclients, and what control/qmqptls demands. */
function readTls(home: string): void {
  const log = { write: () => undefined };
  readQmqpTls(home, { isDemanded: false, clock: SYSTEM_CLOCK, log });
}

function readTlsPolicy(home: string): void {
  const rules = parseTlsRules(entriesIn(home, 'tlspolicy') ?? []);
  if (typeof rules === 'string') throw new Error(`Cannot understand control/tlspolicy: ${rules}`);
}

/** Files of rules that a hub that runs was given, absolute. */
export interface HubRules {
  /** Who may connect, in place of control/qmqpclients. */
  readonly rules: string | undefined;
  /** What holds for SMTP. */
  readonly smtpRules: string | undefined;
  /** Whether there are such files, and this user cannot know which. */
  readonly hidesRules: boolean;
}

/** Judges the control files of a hub. */
export function checkHubControls(home: string, rules: HubRules): Finding[] {
  const found = new Findings('hub');
  for (const [file, read] of READERS) {
    try {
      read(home);
    } catch (error) {
      found.error(`control/${file}`, `a hub does not start: ${reasonOf(error)}`, `mend control/${file}`);
    }
  }
  try {
    checkDomainMap(home, 'smtproutes', 'domain:relay or domain:relay:port', found);
    checkDomainMap(home, 'virtualdomains', 'domain:prefix', found);
    checkRelays(home, found);
    checkNumbers(home, found);
  } catch {
    // What cannot be read is told by the look at the files' form.
  }
  found.list.push(...checkStrangers(home, rules));
  return found.list;
}

function checkDomainMap(home: string, file: string, form: string, found: Findings): void {
  const entries = entriesIn(home, file) ?? [];
  const broken = entries.filter((entry) => !textOf(entry).includes(':'));
  for (const entry of broken.slice(0, 3)) {
    const seen = `"${showBytes(entry.subarray(0, 60))}" has no colon, and is ignored`;
    found.warning(`control/${file}`, seen, `write ${form}`);
  }
}

function checkRelays(home: string, found: Findings): void {
  for (const relay of parseDomainMap(entriesIn(home, 'smtproutes') ?? []).listValues()) {
    const { port, protocol } = parseRelay(relay);
    if (relay.length === 0 || port > 0 || protocol === 'lmtp') continue;
    const seen = `the relay ${showBytes(relay.subarray(0, 60))} has port 0, which nobody can connect to`;
    found.error('control/smtproutes', seen, 'write relay:25, or no port');
  }
}

function checkNumbers(home: string, found: Findings): void {
  for (const file of ['timeoutconnect', 'timeoutremote'])
    if (numberIn(home, file) === 0)
      found.error(`control/${file}`, 'is 0: no other host is fast enough', `rm control/${file}`);
  for (const [file, what] of [
    ['concurrencylocal', 'mailboxes of this host'],
    ['concurrencyremote', 'other hosts'],
  ] as const) {
    if (numberIn(home, file) === 0)
      found.warning(`control/${file}`, `is 0: mail for ${what} is held`, `rm control/${file}`);
  }
  if (numberIn(home, 'queuelifetime') === 0)
    found.warning(
      'control/queuelifetime',
      'is 0: what fails once is returned at once',
      'rm control/queuelifetime',
    );
}

function checkStrangers(home: string, { rules, smtpRules, hidesRules }: HubRules): Finding[] {
  const found = new Findings('hub');
  if (hidesRules) {
    found.note('hub', 'runs with rules in a folder that this user cannot see', 'run the doctor as root');
    return found.list;
  }
  for (const path of new Set([rules, smtpRules])) {
    const fault = path && faultOfRules(path);
    if (fault === undefined) continue;
    tellFault(path!, fault, found);
    return found.list;
  }
  if (rules !== undefined) {
    const remedy = 'end the rules with a line :deny, and run tcprules';
    const judge = judgeByRules(rules);
    judgeStrangers(rules, (address) => judge(address).allow, remedy, found);
  } else checkClients(home, found);
  if (smtpRules !== undefined) judgeRelayRules(smtpRules, found);
  return found.list;
}

function checkClients(home: string, found: Findings): void {
  let mayConnect: (address: string) => boolean;
  try {
    mayConnect = readAllowedClients(home);
  } catch {
    // Told above.
    return;
  }
  const subject = 'control/qmqpclients';
  if (entriesIn(home, 'qmqpclients') === undefined) {
    const remedy = 'echo 10.0.0.0/8 > control/qmqpclients, with your network';
    found.note(subject, 'is missing: without certificates only this host may use the hub', remedy);
  } else judgeStrangers(subject, mayConnect, 'name networks of your own only, such as 10.0.0.0/8', found);
}
