// What this host calls itself: control/me and what is completed with it. A wrong name here shows in every message.

import { readFileSync } from 'node:fs';
import { textOf } from '../core/bytes/bytes.ts';
import { reasonOf } from '../host/system-error.ts';
import { entriesIn, lineIn } from './control-values.ts';
import { type Finding, Findings } from './finding.ts';
import type { LookUp } from './host-names.ts';
import type { Installation } from './installation.ts';

/** The values that matter; undefined where there is no file. */
export interface Names {
  readonly me: string | undefined;
  readonly defaulthost: string | undefined;
  readonly defaultdomain: string | undefined;
  readonly plusdomain: string | undefined;
  readonly idhost: string | undefined;
  /** The system's own name for this host, and Debian's name for mail from it. */
  readonly hostname: string;
  readonly mailname: string | undefined;
}

/** Names that stand in examples and in files that nobody has filled in. Source: RFC 2606, RFC 6761. */
const NOT_REAL = /(?:^|\.)(?:localhost|localdomain|invalid|changeme)\.?$/i;
const COMPLETIONS = ['defaulthost', 'defaultdomain', 'plusdomain'] as const;

/** Reads the names of a home and judges them. */
export async function checkNames(
  { home, roles }: Pick<Installation, 'home' | 'roles'>,
  hostname: string,
  lookUp: LookUp,
): Promise<Finding[]> {
  let names: Names;
  try {
    names = { ...readNames(home), hostname, mailname: readMailname() };
  } catch (error) {
    const found = new Findings('names');
    found.error('control', reasonOf(error), 'mend the rights of that file');
    return found.list;
  }
  const isDirect = roles.includes('hub') && !hasSmarthost(home);
  return [...judgeNames(names, roles), ...(await judgeResolution(names.me, isDirect, lookUp))];
}

function readNames(home: string): Omit<Names, 'hostname' | 'mailname'> {
  return {
    me: lineIn(home, 'me'),
    defaulthost: lineIn(home, 'defaulthost'),
    defaultdomain: lineIn(home, 'defaultdomain'),
    plusdomain: lineIn(home, 'plusdomain'),
    idhost: lineIn(home, 'idhost'),
  };
}

function readMailname(): string | undefined {
  try {
    return readFileSync('/etc/mailname', 'latin1').split('\n', 1)[0]?.trim();
  } catch {
    return undefined;
  }
}

function hasSmarthost(home: string): boolean {
  return (entriesIn(home, 'smtproutes') ?? []).some((entry) => textOf(entry).startsWith(':'));
}

/** Judges what the names are, without asking anybody. */
export function judgeNames(names: Names, roles: Installation['roles']): Finding[] {
  const found = new Findings('names');
  const { me, idhost, hostname, mailname } = names;
  judgeMe(me, roles, found);
  if (!roles.includes('client') && !roles.includes('hub')) return found.list;
  for (const name of COMPLETIONS) {
    const value = names[name];
    if (value !== undefined) judgeHostName(name, value, found);
    else if (me === undefined) {
      const seen = `there is neither control/${name} nor control/me: addresses are completed with the word ${name}`;
      found.error(`control/${name}`, seen, `echo example.org > control/${name}, with your domain`);
    }
  }
  const id = idhost ?? me;
  // The name of a hub is its own; that in a client's control/me is often the hub's.
  const isShared = roles.includes('client') && !roles.includes('hub');
  if (idhost !== undefined) judgeHostName('idhost', idhost, found);
  else if (id !== undefined && isShared && id.toLowerCase() !== hostname.toLowerCase()) {
    const seen = `is missing, so Message-IDs end in ${id}, as on every host that has the same control/me`;
    found.warning('control/idhost', seen, 'hostname -f > control/idhost');
  }
  const used = [me, names.defaulthost, names.defaultdomain, idhost].map((one) => one?.toLowerCase());
  if (mailname !== undefined && mailname !== '' && !used.includes(mailname.toLowerCase())) {
    const seen = `says ${mailname}, which is none of the names in control; mini-qmail does not read it`;
    found.note('/etc/mailname', seen, 'make one of them like the other if mail shall have that name');
  }
  return found.list;
}

function judgeMe(me: string | undefined, roles: Installation['roles'], found: Findings): void {
  const remedy = 'echo mail.example.org > control/me, with the name of this host or of its server';
  if (me !== undefined) judgeHostName('me', me, found);
  else if (roles.includes('hub'))
    found.error('control/me', 'is missing: a hub does not start without it', remedy);
  else if (roles.includes('gateway'))
    found.error('control/me', 'is missing: qmail-smtpd does not start without it', remedy);
  else if (roles.includes('client')) found.warning('control/me', 'is missing', remedy);
}

function judgeHostName(file: string, value: string, found: Findings): void {
  const subject = `control/${file}`;
  const remedy = `echo mail.example.org > ${subject}, with a real name`;
  // What is empty or begins with a blank is told by the look at the files' form.
  if (value === '') return;
  if (!/^[\w.-]+$|^\[[\w.:]+\]$/.test(value)) found.error(subject, `"${value}" is no name of a host`, remedy);
  else if (NOT_REAL.test(value))
    found.warning(subject, `${value} is a name that means nothing elsewhere`, remedy);
  else if (!value.includes('.') && file !== 'plusdomain')
    found.warning(subject, `${value} has no dot: it is a name without its domain`, remedy);
  else found.ok(subject, value);
}

/** Asks whether the world knows `me`. @param isDirect whether other hosts see it in a greeting */
export async function judgeResolution(
  me: string | undefined,
  isDirect: boolean,
  lookUp: LookUp,
): Promise<Finding[]> {
  const found = new Findings('names');
  if (me === undefined || !/^[\w.-]+$/.test(me)) return [];
  const result = await lookUp(me);
  const remedy = 'add an address record for it to your DNS';
  if (result === 'none') {
    const seen = 'has no address';
    if (isDirect) found.warning(me, `${seen}: other mail servers distrust who calls himself so`, remedy);
    else found.note(me, seen);
  } else if ('failed' in result) found.note(me, `cannot be looked up now: ${result.failed}`);
  else found.ok(me, `has the address ${result.addresses.join(', ')}`);
  return found.list;
}
