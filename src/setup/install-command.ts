// `mini-qmail install` and `mini-qmail uninstall`: put together what is wanted, print the plan, do it unless it is refused.

import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { textOf } from '../core/bytes/bytes.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import { type BuiltPrograms, chooseInterpreter, findBuiltPrograms } from './built-programs.ts';
import { type ControlWish, controlWishes } from './control-wishes.ts';
import { type Disk, RootedDisk } from './disk.ts';
import { carryOut } from './install.ts';
import { type InstallPlan, isChange, planInstall, type Step } from './install-plan.ts';
import { checkInterpreter } from './interpreter-check.ts';
import { libraryOf, type Manifest, manifestPath, readManifest } from './manifest.ts';
import { partsOf, ROLES, type Role, type RoleParts } from './roles.ts';
import { packageAdvice, SENDMAIL_PATHS, sendmailLinksToMake } from './sendmail-links.ts';
import { SetupRefusal } from './setup-refusal.ts';
import { planUninstall, undo } from './uninstall-plan.ts';
import { type Wanted, wantedParts } from './wanted.ts';

/** Options that both commands have. */
interface CommonOptions {
  /** Path of the bundle that runs. */
  readonly bundle: string;
  readonly prefix?: string | undefined;
  readonly root?: string | undefined;
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** Options of `mini-qmail install`; paths as given. */
export interface InstallOptions extends CommonOptions {
  readonly role?: string | undefined;
  readonly listPrefix?: string | undefined;
  readonly servers: readonly string[];
  readonly me?: string | undefined;
  readonly idhost?: string | undefined;
  readonly idhostLink?: string | undefined;
  /** Nothing but this host's own control/idhost, in a prefix that many hosts share. */
  readonly idhostOnly: boolean;
  readonly fromServer?: string | undefined;
  readonly sendmail: boolean;
  readonly node?: string | undefined;
}

/** Options of `mini-qmail uninstall`. */
export type UninstallOptions = CommonOptions;

const DEFAULT_PREFIX = '/var/qmail';
const DEFAULT_LIST_PREFIX = '/var/mini-qmail';
const EXIT_REFUSED = 100;
const EXIT_TEMPORARY = 111;

/** Prints the plan and carries it out. @returns exit code */
export function runInstall(options: InstallOptions): number {
  return guarded(
    'install',
    'then run the same command again; mini-qmail uninstall undoes what is there',
    () => {
      const place = placeOf(options);
      const plan = options.idhostOnly ? planIdhost(options, place) : planFrom(options, place);
      print(plan.steps, place.root);
      const refused = plan.steps.filter(({ verb }) => verb === 'refuse').length;
      if (refused > 0) throw new SetupRefusal(`nothing was done, ${refused} of the steps above were refused`);
      const count = plan.steps.filter(isChange).length;
      if (count === 0) say('nothing to do');
      else if (options.dryRun) say(`${count} steps to do, none done: --dry-run was given`);
      else if (options.idhostOnly) writeIdhost(plan, place.disk);
      else carryOut(plan, place.disk, place.prefix);
      if (count > 0 && !options.dryRun) say(`${count} steps done`);
    },
  );
}

/** Prints the plan and carries it out. @returns exit code */
export function runUninstall(options: UninstallOptions): number {
  return guarded('uninstall', 'then run the same command again', () => {
    const { disk, prefix, root } = placeOf(options);
    const manifest = readManifest(disk, prefix);
    if (manifest === undefined) {
      say(`nothing to do: no installation in ${root}${prefix}, ${root}${manifestPath(prefix)} is not there`);
      return;
    }
    const steps = planUninstall(manifest, disk, prefix, options.force);
    print(steps, root);
    const count = steps.filter(({ verb }) => verb !== 'keep').length;
    if (!options.dryRun) undo(steps, disk);
    say(options.dryRun ? `${count} steps to do, none done: --dry-run was given` : `${count} steps done`);
  });
}

/** Runs a command; failures become one line and an exit code. */
function guarded(command: string, remedy: string, run: () => void): number {
  // Who reads no further than the first lines must not turn the end into a failure.
  process.stdout.on('error', () => {});
  try {
    run();
    return 0;
  } catch (error) {
    const isRefusal = error instanceof SetupRefusal;
    const more = isRefusal ? '' : `; mend that, ${remedy}`;
    process.stderr.write(`mini-qmail ${command}: fatal: ${reasonOf(error)}${more}\n`);
    return isRefusal ? EXIT_REFUSED : EXIT_TEMPORARY;
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function print(steps: readonly { verb: string; path: string; note?: string }[], root: string): void {
  for (const { verb, path, note } of steps)
    say(`${verb} ${root}${path}${note === undefined ? '' : `: ${note}`}`);
}

interface Place {
  readonly built: BuiltPrograms;
  readonly disk: Disk;
  readonly prefix: string;
  readonly root: string;
}

function placeOf(options: CommonOptions): Place {
  const built = findBuiltPrograms(options.bundle, process.execPath);
  const root = options.root === undefined ? '' : resolve(options.root).replace(/\/$/, '');
  const prefix = checkedFolder('--prefix', options.prefix ?? built.installedIn ?? DEFAULT_PREFIX);
  return { built, disk: new RootedDisk(root), prefix, root };
}

function checkedFolder(option: string, path: string): string {
  const absolute = resolve(path);
  const isPlain = [...absolute].every((c) => c >= ' ' && c !== '\x7f');
  if (absolute !== '/' && isPlain) return absolute;
  throw new SetupRefusal(`${option} ${JSON.stringify(path)} cannot be a folder of its own; give another`);
}

function planFrom(options: InstallOptions, { built, disk, prefix, root }: Place): InstallPlan {
  const manifest = readManifest(disk, prefix);
  const roles = rolesOf(options.role, manifest, prefix);
  const all = partsOf(roles);
  const kept = foreignClient(roles, disk, prefix, manifest);
  const parts = kept === undefined ? all : { ...all, programs: [] };
  const node = options.node ?? manifest?.node;
  const interpreter = chooseInterpreter(built, libraryOf(prefix), node);
  const withCaches = node === undefined || checkInterpreter(node);
  const isWithSendmail = parts.programs.includes('sendmail');
  if (options.sendmail && !isWithSendmail)
    throw new SetupRefusal('--sendmail: there is no sendmail in this role');
  const controls = wishesOf(options, all.controls, disk, prefix);
  const wanted = wantedParts(
    {
      ...{ prefix, parts, controls, interpreter, withCaches },
      idhostLink:
        options.idhostLink === undefined ? undefined : checkedFolder('--idhost-link', options.idhostLink),
      listPrefix: roles.includes('list')
        ? checkedFolder(
            '--list-prefix',
            options.listPrefix ?? knownListPrefix(manifest, prefix) ?? DEFAULT_LIST_PREFIX,
          )
        : undefined,
      sendmailLinks: options.sendmail ? sendmailLinksToMake(disk) : [],
    },
    built,
  );
  const ownerOf = (path: string) =>
    root === '' && SENDMAIL_PATHS.includes(path) ? packageAdvice(path) : undefined;
  const plan = planInstall(wanted, { disk, prefix, roles, manifest, node, force: options.force, ownerOf });
  const warnings = warningsFor(all, roles, controls, disk, prefix);
  if (!withCaches) {
    const note = 'not the Node of this build: code caches are left out, programs start a quarter slower';
    warnings.push({ verb: 'warn', path: interpreter.path, note });
  }
  return { ...plan, steps: [...(kept ?? []), ...plan.steps, ...warnings] };
}

/** The roles of the prefix, those that it has already included. */
function rolesOf(given: string | undefined, manifest: Manifest | undefined, prefix: string): Role[] {
  const known = manifest?.roles ?? [];
  if (given === undefined && known.length > 0) return [...known];
  const role = ROLES.find((one) => one === given);
  if (role !== undefined) return [...new Set([...known, role])];
  const what = given === undefined ? `nothing is installed in ${prefix} yet` : `there is no role "${given}"`;
  throw new SetupRefusal(`${what}: give --role ${ROLES.join(', --role ')}`);
}

/** The second tree that an earlier run has made. */
function knownListPrefix(manifest: Manifest | undefined, prefix: string): string | undefined {
  const target = `-> ${prefix}/bin/qmail-qmqpc`;
  const link = manifest?.entries.find(({ kind, states }) => kind === 'link' && states.includes(target));
  return link && dirname(dirname(link.path));
}

/** A list host's own qmail has a qmail-qmqpc, which does as well and is not ours to replace. */
function foreignClient(
  roles: readonly Role[],
  disk: Disk,
  prefix: string,
  manifest: Manifest | undefined,
): Step[] | undefined {
  const path = `${prefix}/bin/qmail-qmqpc`;
  const isList = roles.every((role) => role === 'list');
  const isOurs = manifest?.entries.some((entry) => entry.path === path) === true;
  if (!isList || isOurs || disk.look(path).kind === 'missing') return undefined;
  return [{ verb: 'keep', path, note: "it is this host's own qmail's, and does as well" }];
}

function wishesOf(
  options: InstallOptions,
  allowed: readonly string[],
  disk: Disk,
  prefix: string,
): ControlWish[] {
  const request = {
    ...{ me: options.me, idhost: options.idhost, fromServer: options.fromServer, hostname: hostname() },
    servers: options.servers.flatMap((list) => list.split(',')).map((server) => server.trim()),
  };
  if (options.idhostLink !== undefined && !allowed.includes('idhost')) {
    throw new SetupRefusal('--idhost-link: control/idhost has no use in this role; leave it out');
  }
  // Where control/idhost is a link, it is a file of this host's own, which is not the prefix's business.
  const isLinked = options.idhostLink === undefined && disk.look(`${prefix}/control/idhost`).kind === 'link';
  const wishes = controlWishes(request, allowed);
  return isLinked && options.idhost === undefined ? wishes.filter(({ name }) => name !== 'idhost') : wishes;
}

function warningsFor(
  parts: RoleParts,
  roles: readonly Role[],
  controls: readonly ControlWish[],
  disk: Disk,
  prefix: string,
): Step[] {
  const isThere = (name: string) =>
    controls.some((wish) => wish.name === name) || disk.look(`${prefix}/control/${name}`).kind !== 'missing';
  const warnings: Step[] = [];
  const warn = (name: string, note: string) => {
    if (!isThere(name))
      warnings.push({ verb: 'warn', path: `${prefix}/control/${name}`, note: `is missing: ${note}` });
  };
  if (roles.some((role) => role !== 'hub')) warn('qmqpservers', 'no mail can be sent; give --server ADDRESS');
  if (parts.controls.includes('me')) warn('me', 'names are completed wrongly; give --me or --from-server');
  const idhost = controls.find(({ name }) => name === 'idhost');
  const isWritten = idhost !== undefined && disk.look(`${prefix}/control/idhost`).kind === 'missing';
  if (isWritten && !idhost.isAsked && !textOf(idhost.content).includes('.')) {
    const note = "the system knows this host's name without its domain; give --idhost NAME";
    warnings.push({ verb: 'warn', path: `${prefix}/control/idhost`, note });
  }
  if (roles.includes('gateway')) {
    warn(
      'rcpthosts',
      'the gateway relays for everybody; write the domains that you take mail for, one per line',
    );
  }
  if (roles.includes('hub'))
    warn('qmqpclients', 'only this host may use the hub; write addresses, one per line');
  return warnings;
}

/** One file for this host: what control/idhost is, or leads to. */
function planIdhost(options: InstallOptions, { disk, prefix }: Place): InstallPlan {
  const wishes = wishesOf({ ...options, idhost: options.idhost ?? hostname() }, ['idhost'], disk, prefix);
  const look = disk.look(`${prefix}/control/idhost`);
  if (!disk.isFolder(`${prefix}/control`)) {
    throw new SetupRefusal(
      `--idhost-only: there is no ${prefix}/control; give the --prefix of the shared installation`,
    );
  }
  const control = `${prefix}/control`;
  const path = look.kind === 'link' ? resolve(control, look.target) : `${control}/idhost`;
  const folders: Wanted[] = [];
  for (let above = dirname(path); above !== '/' && above !== prefix; above = dirname(above)) {
    folders.unshift({ kind: 'folder', path: above });
  }
  const files = wishes.map((wish): Wanted => {
    return {
      kind: 'file',
      path,
      content: wish.content,
      mode: 0o644,
      control: { ...wish, isAsked: options.idhost !== undefined },
    };
  });
  const ownerOf = () => undefined;
  return planInstall([...folders, ...files], {
    ...{ disk, prefix, roles: [], manifest: undefined, force: options.force, ownerOf },
  });
}

/** The shared prefix has a record of its own, which this host may not write. */
function writeIdhost(plan: InstallPlan, disk: Disk): void {
  for (const { wanted, path } of plan.steps.filter(isChange)) {
    if (wanted?.kind === 'folder') disk.makeFolder(path);
    else if (wanted?.kind === 'file') disk.writeFile(path, wanted.content, wanted.mode);
    else throw new SystemError('write', path, 'it is neither folder nor file');
  }
}
