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
import { type JudgeClient, judgeByList, judgeByRules } from '../hub/client-judge.ts';
import { readQmqpTls } from '../hub/qmqp-listeners.ts';
import { showBytes } from '../setup/show-bytes.ts';
import { entriesIn, numberIn } from './control-values.ts';
import { type Finding, Findings } from './finding.ts';

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

/** Addresses of hosts all over the world that have nothing to do with each other, and are in no network of one's own. */
const STRANGERS = [
  ...['1.1.1.1', '8.8.8.8', '45.33.32.156', '93.184.215.14', '129.250.35.250', '151.101.1.69'],
  ...['185.199.108.153', '199.7.83.42', '203.119.1.1', '216.58.206.78'],
  ...['2001:4860:4860::8888', '2606:4700:4700::1111', '2a00:1450:4001:81b::200e', '2400:cb00:2048:1::1'],
];

/** Judges the control files of a hub. @param rules the file that says who may connect, if the hub that runs was given one */
export function checkHubControls(home: string, rules: string | undefined): Finding[] {
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

function checkStrangers(home: string, rules: string | undefined): Finding[] {
  const subject = rules ?? 'control/qmqpclients';
  const found = new Findings('hub');
  let judge: JudgeClient;
  try {
    judge = rules === undefined ? judgeByList(readAllowedClients(home)) : judgeByRules(rules);
  } catch {
    return [];
  }
  const verdicts = STRANGERS.map((address) => ({ address, verdict: judge(address) }));
  const allowed = verdicts.filter(({ verdict }) => verdict.allow).map(({ address }) => address);
  const first = verdicts[0]?.verdict;
  if (rules !== undefined && first?.allow === false && first.reason !== `denied by ${rules}`) {
    found.error(subject, `lets nobody in: ${first.reason}`, 'make it: run tcprules');
    return found.list;
  }
  const remedy =
    rules === undefined
      ? 'name networks of your own only, such as 10.0.0.0/8'
      : 'end the rules with a line :deny, and run tcprules';
  if (allowed.length > STRANGERS.length / 4)
    found.error(subject, `lets the whole world send mail through this hub: ${allowed[0]} may`, remedy);
  else if (allowed.length > 0)
    found.warning(subject, `lets strangers send mail through this hub: ${allowed.join(', ')}`, remedy);
  else if (rules === undefined && entriesIn(home, 'qmqpclients') === undefined) {
    const seen = 'is missing: only this host may use the hub';
    found.note(subject, seen, 'echo 10.0.0.0/8 > control/qmqpclients, with your network');
  } else found.ok(subject, 'strangers may not send mail through this hub');
  return found.list;
}
