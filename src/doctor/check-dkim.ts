// Keys that outgoing mail is signed with: whether they can be used, and whether DNS shows them.

import { readDkimKeyring } from '../delivery/dkim-keys.ts';
import type { AskDns } from '../host/dns-client.ts';
import { reasonOf } from '../host/system-error.ts';
import { checkDkimKeys } from '../hub/dkim-command.ts';
import { within } from './deadline.ts';
import { type Finding, Findings } from './finding.ts';

const DNS_MS = 8000;
const EXIT_DIFFERENT = 100;

/** Compares the keys of each domain with DNS. */
export async function checkDkim(home: string, askDns: AskDns): Promise<Finding[]> {
  const found = new Findings('dkim');
  let names: readonly string[];
  try {
    const keyring = readDkimKeyring(home);
    for (const { domain, trouble = '' } of keyring.troubled)
      found.error(domain, `its mail waits: ${trouble}`, `mini-qmail dkim keygen ${domain} SELECTOR`);
    names = keyring.signing;
  } catch (error) {
    found.error('control/dkim', reasonOf(error), 'mend its rights');
    return found.list;
  }
  await Promise.all(names.map((domain) => checkDomain(home, domain, askDns, found)));
  return found.list;
}

async function checkDomain(home: string, domain: string, askDns: AskDns, found: Findings): Promise<void> {
  const late = { text: 'DNS does not answer', exit: 0 };
  try {
    const { text, exit } = (await within(checkDkimKeys(home, domain, askDns), DNS_MS, undefined)) ?? late;
    const seen = text.trim().replaceAll('\n', '; ');
    const remedy = 'publish the record that mini-qmail dkim keygen has printed, or remove the key';
    if (exit === EXIT_DIFFERENT) found.error(domain, seen, remedy);
    else if (exit !== 0 || text === late.text) found.note(domain, seen);
    else found.ok(domain, seen);
  } catch (error) {
    found.error(domain, reasonOf(error), `ls -l control/dkim/${domain}`);
  }
}
