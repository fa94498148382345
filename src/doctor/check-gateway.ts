// The gateway: what it takes by SMTP, above all that it does not take everything, and files that have to be compiled.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { textOf } from '../core/bytes/bytes.ts';
import { parseSocketmapAddress } from '../core/format/socketmap-address.ts';
import { readSmtpdControls } from '../gate/smtpd-controls.ts';
import { reasonOf } from '../host/system-error.ts';
import { entriesIn, lineIn } from './control-values.ts';
import { type Finding, Findings, plural } from './finding.ts';
import { faultOfRules, judgeRelayRules, tellFault } from './strangers.ts';

/** Folders in which rules of tcpserver usually are. */
const RULES_FOLDERS: readonly string[] = ['/etc', '/etc/tcp', '/etc/tcprules.d', '/etc/qmail'];

/** Judges the control files of qmail-smtpd. @param rules files of rules that a tcpserver of this host uses */
export function checkGateway(home: string, rules: readonly string[]): Finding[] {
  const found = new Findings('gateway');
  try {
    readSmtpdControls(home, {});
    checkRcpthosts(home, found);
    for (const entry of entriesIn(home, 'rcptcheck') ?? []) {
      if (parseSocketmapAddress(entry) !== undefined) continue;
      const seen = `"${textOf(entry).slice(0, 60)}" is no server to ask`;
      found.error('control/rcptcheck', seen, 'write inet:HOST:PORT:NAME or unix:PATH:NAME');
    }
    const fail = lineIn(home, 'rcptcheckfail');
    if (fail !== undefined && !['open', 'closed'].includes(fail))
      found.error('control/rcptcheckfail', `"${fail.slice(0, 60)}" is neither`, 'write open or closed');
  } catch (error) {
    found.error('qmail-smtpd', `takes no mail: ${reasonOf(error)}`, 'mend that file');
  }
  checkCompiled(`${home}/control/morercpthosts`, `${home}/control/morercpthosts.cdb`, 'qmail-newmrh', found);
  for (const path of new Set([...rules, ...usualRules()])) checkRules(path, rules.includes(path), found);
  return found.list;
}

function checkRcpthosts(home: string, found: Findings): void {
  const domains = entriesIn(home, 'rcpthosts');
  const remedy = "printf '%s\\n' example.org .example.org > control/rcpthosts, with your domains";
  if (domains === undefined)
    found.error('control/rcpthosts', 'is missing: everybody may send mail everywhere through here', remedy);
  else if (domains.length === 0 && !existsSync(`${home}/control/morercpthosts.cdb`))
    found.warning('control/rcpthosts', 'is empty: no mail is taken by SMTP', remedy);
  else found.ok('control/rcpthosts', `mail is taken for ${plural(domains.length, 'domain')}`);
}

/** A file that programs read, and the text that it is made of. */
function checkCompiled(text: string, cdb: string, program: string, found: Findings): void {
  const [source, compiled] = [text, cdb].map((path) => statSync(path, { throwIfNoEntry: false }));
  const remedy = `run ${program}`;
  if (source === undefined && compiled !== undefined) {
    if (program === 'qmail-newmrh')
      found.note(cdb, `is used, and ${text} is gone`, `rm ${cdb}, if it is not meant`);
  } else if (source !== undefined && compiled === undefined)
    found.error(text, 'has no effect: it was never compiled', remedy);
  else if (source !== undefined && compiled !== undefined && source.mtimeMs > compiled.mtimeMs)
    found.warning(text, 'was changed after it was compiled: the changes have no effect', remedy);
}

function usualRules(): string[] {
  return RULES_FOLDERS.flatMap((folder) => {
    try {
      return readdirSync(folder)
        .filter((name) => /^(?:tcp|qmqp|smtp).*\.cdb$/.test(name))
        .map((name) => `${folder}/${name}`);
    } catch {
      return [];
    }
  });
}

function checkRules(cdb: string, isUsed: boolean, found: Findings): void {
  const fault = isUsed ? faultOfRules(cdb) : undefined;
  if (fault !== undefined) {
    tellFault(cdb, fault, found);
    return;
  }
  if (isUsed) judgeRelayRules(cdb, found);
  for (const text of [cdb.replace(/\.cdb$/, ''), cdb.replace(/\.cdb$/, '.rules')])
    if (text !== cdb && existsSync(text))
      checkCompiled(text, cdb, `tcprules ${cdb} ${cdb}.tmp < ${text}`, found);
}
