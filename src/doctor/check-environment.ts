// Variables of the caller that change what the programs do: what an administrator sees may not be what a service sees.

import { type Finding, Findings } from './finding.ts';
import type { Installation } from './installation.ts';

/** What each variable does. Source: the manual pages of the programs that read them. */
const EFFECTS: { readonly [name: string]: string } = {
  QMAILHOME: 'chooses the installation',
  QMQPSERVERS: 'is used in place of control/qmqpservers',
  QMAILQUEUE: 'is run in place of bin/qmail-queue',
  QMAILINJECT: 'changes what qmail-inject does with headers',
  QMAILMFTFILE: 'makes qmail-inject add Mail-Followup-To',
  QMAILDEFAULTHOST: 'is used in place of control/defaulthost',
  QMAILDEFAULTDOMAIN: 'is used in place of control/defaultdomain',
  QMAILPLUSDOMAIN: 'is used in place of control/plusdomain',
  QMAILIDHOST: 'is used in place of control/idhost',
  QMAILSUSER: 'is the user of every envelope sender',
  QMAILSHOST: 'is the host of every envelope sender',
};

/** Notes each variable that is set. */
export function checkEnvironment({ env }: Pick<Installation, 'env'>): Finding[] {
  const found = new Findings('environment');
  for (const [name, effect] of Object.entries(EFFECTS)) {
    const value = env[name];
    if (value === undefined || (value === '' && name !== 'QMAILQUEUE')) continue;
    const remedy = `unset ${name}, if other users and services are meant too: they do not have it`;
    found.note(name, `"${value}" ${effect}`, remedy);
  }
  return found.list;
}
