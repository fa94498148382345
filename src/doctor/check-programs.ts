// Whether the programs can start, and whether what the world calls sendmail and qmail-queue leads to them. Only looks.

import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  realpathSync,
} from 'node:fs';
import { basename, delimiter, dirname, resolve } from 'node:path';
import { ownProgramAt } from '../host/invocation.ts';
import { RootedDisk } from '../setup/disk.ts';
import { type Manifest, readManifest } from '../setup/manifest.ts';
import { partsOf } from '../setup/roles.ts';
import { SENDMAIL_PATHS } from '../setup/sendmail-links.ts';
import { type Finding, Findings } from './finding.ts';
import type { Installation } from './installation.ts';

const LINKS_MAX = 20;
const QUEUE_PROGRAM = 'qmail-queue';

/** Looks at HOME/bin and at the names of sendmail on this host. */
export function checkPrograms(
  { home, ownBin, roles, isRecorded, env }: Installation,
  systemPaths: readonly string[] = SENDMAIL_PATHS,
): Finding[] {
  const found = new Findings('programs');
  const bin = `${home}/bin`;
  // A home without programs of its own uses those that run now.
  const isOwn = existsSync(bin);
  const { programs, links } = partsOf(roles);
  if (isOwn) {
    const paths = programs.map((program) => `${bin}/${program}`);
    const wanted = isRecorded ? paths : paths.filter((path) => lstatSync(path, { throwIfNoEntry: false }));
    for (const path of wanted) checkStart(path, found);
    if (found.list.length === 0) found.ok(bin, `${wanted.length} programs can start`);
    if (roles.some((role) => role !== 'list'))
      checkQueueProgram(bin, ownBin, links[QUEUE_PROGRAM] ?? 'qmail-qmqpc', found);
  } else found.note(bin, `is not there: the programs in ${ownBin} are used`);
  // The home of a hub whose programs are elsewhere has no sendmail to lead to.
  if (!isOwn || !programs.includes('sendmail')) return found.list;
  const ours = realPath(`${bin}/sendmail`);
  const manifest = recordOf(home);
  for (const path of systemPaths) checkSystemName(path, ours, { home, manifest }, found);
  checkSearchPath(env['PATH'], ours, found);
  return found.list;
}

/** A launcher names its interpreter and its bundle: both may have gone with an upgrade of something else. */
function checkStart(path: string, found: Findings): void {
  const remedy = 'run mini-qmail install again, from a checkout or another installation';
  if (!existsSync(path)) {
    const seen = lstatSync(path, { throwIfNoEntry: false })
      ? 'is a link that leads to nothing'
      : 'is missing';
    found.error(path, seen, remedy);
    return;
  }
  try {
    accessSync(path, constants.X_OK);
    const [first = ''] = readFileSync(path, 'latin1').split('\n', 1);
    const missing = first
      .replace(/^#! ?/, '')
      .split(' ')
      .find((word) => word.startsWith('/') && !existsSync(word));
    if (first.startsWith('#!') && missing !== undefined)
      found.error(path, `cannot start: ${missing} is missing`, remedy);
  } catch {
    found.error(path, 'cannot be started by this user', `chmod a+rx ${path}`);
  }
}

function checkQueueProgram(bin: string, ownBin: string, wanted: string, found: Findings): void {
  const path = `${bin}/${QUEUE_PROGRAM}`;
  const remedy = `ln -sf ${wanted} ${path}`;
  if (!existsSync(path)) {
    found.error(path, 'is missing, or leads to nothing: no mail can be queued', remedy);
    return;
  }
  // The installation may be another one than that of the doctor.
  const own = ownProgramAt(path, ownBin) ?? ownProgramAt(path, bin);
  if (own === wanted) found.ok(path, `is ${wanted}`);
  else if (own === 'qmail-qmqpc' || own === 'hub-queue')
    found.note(path, `is ${own}; ${wanted} is usual here`, remedy);
  else found.warning(path, `is not of mini-qmail: ${chainOf(path)}`, remedy);
}

function checkSystemName(
  path: string,
  ours: string,
  { home, manifest }: { home: string; manifest: Manifest | undefined },
  found: Findings,
): void {
  const wasMade = manifest?.entries.some((entry) => entry.path === path) === true;
  const remedy = `mini-qmail install --prefix ${home} --sendmail`;
  if (!existsSync(path)) {
    const seen = 'is missing: programs that call it cannot send mail';
    if (wasMade) found.error(path, seen, remedy);
    else found.note(path, seen, remedy);
  } else if (realPath(path) === ours) found.ok(path, 'leads here');
  else {
    const chain = chainOf(path);
    const isAlternative = chain.includes('/etc/alternatives/');
    const other = isAlternative ? `, after update-alternatives has removed it` : '';
    const seen = `is another mail program: ${chain}`;
    if (wasMade)
      found.error(path, `${seen}; it was ours, and something has put it back`, `${remedy}${other}`);
    else found.note(path, seen, `${remedy}${other}, if mail shall go here`);
  }
}

function checkSearchPath(searchPath: string | undefined, ours: string, found: Findings): void {
  const first = (searchPath ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => `${folder}/sendmail`)
    .find((path) => existsSync(path));
  if (first !== undefined && realPath(first) !== ours)
    found.note('PATH', `the first sendmail in it is another one: ${chainOf(first)}`);
}

function recordOf(home: string): Manifest | undefined {
  try {
    return readManifest(new RootedDisk(''), home);
  } catch {
    return undefined;
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** The path, and where it leads step by step. */
function chainOf(path: string): string {
  const steps = [path];
  for (let at = path; steps.length < LINKS_MAX; ) {
    try {
      at = resolve(dirname(at), readlinkSync(at));
      steps.push(at);
    } catch {
      break;
    }
  }
  const real = realPath(path);
  if (real !== steps.at(-1) && basename(real) !== basename(steps.at(-1) ?? '')) steps.push(real);
  return steps.join(' -> ');
}
