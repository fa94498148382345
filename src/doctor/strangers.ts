// Whether hosts that have nothing to do with us may send mail through us anywhere: the one mistake that others notice first.
// Rules are asked, not read, so that it does not matter how they say it.

import { judgeBySmtpRules } from '../hub/smtp-clients.ts';
import type { Findings } from './finding.ts';

/** Addresses of hosts all over the world that have nothing to do with each other, and are in no network of one's own. */
const STRANGERS = [
  ...['1.1.1.1', '8.8.8.8', '45.33.32.156', '93.184.215.14', '129.250.35.250', '151.101.1.69'],
  ...['185.199.108.153', '199.7.83.42', '203.119.1.1', '216.58.206.78'],
  ...['2001:4860:4860::8888', '2606:4700:4700::1111', '2a00:1450:4001:81b::200e', '2400:cb00:2048:1::1'],
];
/** Beyond that it is not a mistake about some network, but everybody. */
const SOME_PART = 1 / 4;

/** Tells strangers who may send. @param subject the file that says who may */
export function judgeStrangers(
  subject: string,
  mayRelay: (address: string) => boolean,
  remedy: string,
  found: Findings,
): void {
  const allowed = STRANGERS.filter(mayRelay);
  if (allowed.length > STRANGERS.length * SOME_PART)
    found.error(subject, `lets the whole world send mail through this host: ${allowed[0]} may`, remedy);
  else if (allowed.length > 0)
    found.warning(subject, `lets strangers send mail through this host: ${allowed.join(', ')}`, remedy);
  else found.ok(subject, 'strangers may not send mail through this host');
}

/** The same for rules of a server of SMTP, which let a host send anywhere by setting RELAYCLIENT. */
export function judgeRelayRules(path: string, found: Findings): void {
  const judge = judgeBySmtpRules(path);
  const mayRelay = (address: string) => {
    const verdict = judge(address);
    return verdict.allow && 'RELAYCLIENT' in verdict.env;
  };
  judgeStrangers(path, mayRelay, 'set RELAYCLIENT for networks of your own only, and run tcprules', found);
}

/** Why rules that cannot be read let nobody in; undefined if they can. */
export function faultOfRules(path: string): string | undefined {
  const verdict = judgeBySmtpRules(path)(STRANGERS[0]!);
  return verdict.allow || verdict.reason === `denied by ${path}` ? undefined : verdict.reason;
}

/** Tells of rules that cannot be read. @param fault as {@link faultOfRules} gives it */
export function tellFault(path: string, fault: string, found: Findings): void {
  // The server's user may read more.
  if (/EACCES/.test(fault)) found.note(path, 'this user may not read it', 'run the doctor as root');
  else found.error(path, `lets nobody in: ${fault}`, 'make it: run tcprules');
}
