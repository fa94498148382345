// What each role of an installation consists of. The layouts are qmail's own: a null client, a gateway (SMTP in, QMQP out,
// nothing kept), and a list host, where one link makes a second tree whose queue program is the QMQP client.
// Source: cr.yp.to/qmail/mini.html and the INSTALL pages of qmail and ezmlm.

import { HUB_LINKS, HUB_PROGRAMS, LINKS, PROGRAMS } from '../../scripts/programs.mjs';

/** A way to use the package. */
export type Role = 'client' | 'gateway' | 'hub' | 'list';

/** All roles, in the order of the manual page. */
export const ROLES: readonly Role[] = ['client', 'gateway', 'hub', 'list'];

/** Programs and links of an installation, and the control files that it is given. */
export interface RoleParts {
  readonly programs: readonly string[];
  /** Link name to program. */
  readonly links: { readonly [name: string]: string };
  readonly controls: readonly string[];
  /** Whether manual pages belong to it; in a list host the prefix has those of its own qmail. */
  readonly hasPages: boolean;
}

const CLIENT_CONTROLS = ['me', 'defaultdomain', 'plusdomain', 'defaulthost', 'idhost', 'qmqpservers'];

const PARTS: { readonly [role in Role]: RoleParts } = {
  client: {
    programs: [
      ...['sendmail', 'qmail-inject', 'qmail-qmqpc', 'forward', 'predate', 'datemail', 'mailsubj'],
      ...['qmail-showctl', 'maildirmake', 'maildir2mbox', 'maildirwatch', 'qail', 'elq', 'pinq'],
      ...['condredirect', 'except', 'bouncesaying', 'preline', 'qreceipt', 'qbiff', 'mini-qmail'],
    ],
    links: LINKS,
    controls: CLIENT_CONTROLS,
    hasPages: true,
  },
  gateway: {
    programs: [
      ...['qmail-smtpd', 'tcpserver', 'tcprules', 'tcprulescheck', 'qmail-qmqpc', 'qmail-qmqpd'],
      ...['qmail-newmrh', 'recordio', 'tcp-env', 'mini-qmail'],
    ],
    links: LINKS,
    controls: ['me', 'qmqpservers'],
    hasPages: true,
  },
  hub: {
    programs: [...PROGRAMS, ...HUB_PROGRAMS],
    links: HUB_LINKS,
    controls: CLIENT_CONTROLS,
    hasPages: true,
  },
  list: { programs: ['qmail-qmqpc'], links: {}, controls: ['qmqpservers'], hasPages: false },
};

/** The parts of all these roles together; each program and control file once. */
export function partsOf(roles: readonly Role[]): RoleParts {
  const parts = roles.map((role) => PARTS[role]);
  return {
    programs: [...new Set(parts.flatMap(({ programs }) => programs))],
    // Where a hub is, mail goes to it, whatever else the host is.
    links: Object.assign({}, ...parts.map(({ links }) => links), roles.includes('hub') ? HUB_LINKS : {}),
    controls: [...new Set(parts.flatMap(({ controls }) => controls))],
    hasPages: parts.some(({ hasPages }) => hasPages),
  };
}
