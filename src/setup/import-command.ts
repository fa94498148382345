// mini-qmail import: reads the configuration of other mail clients, says for each setting what becomes of it, and writes
// control files if that is asked for. Invariant: without --write nothing is changed, and a control file that says something
// else stays unless --force is given; while one stands in the way nothing is written.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { equalBytes } from '../core/bytes/bytes.ts';
import { parseControlLine } from '../core/format/control-file.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { readFileIfPresent } from '../host/control.ts';
import { errorText } from '../host/error-text.ts';
import { reasonOf } from '../host/system-error.ts';
import { MODE_FILE, RootedDisk } from './disk.ts';
import { importDma } from './import-dma.ts';
import { importMsmtp } from './import-msmtp.ts';
import { importNullmailer, NULLMAILER_FILES } from './import-nullmailer.ts';
import { importQmail } from './import-qmail.ts';
import { type Finding, type ImportedControl, ImportReport } from './import-report.ts';
import { importSsmtp } from './import-ssmtp.ts';
import { SetupRefusal } from './setup-refusal.ts';
import { showBytes } from './show-bytes.ts';

/** Kinds of configuration that can be read. */
export const IMPORT_KINDS = ['ssmtp', 'msmtp', 'nullmailer', 'dma', 'qmail'] as const;
type Kind = (typeof IMPORT_KINDS)[number];

/** What the command is given. */
export interface ImportCommand {
  readonly paths: readonly string[];
  /** Kind of all paths; otherwise each tells its own. */
  readonly from: string | undefined;
  /** The control folder to write to. */
  readonly to: string;
  /** Where the usual places are looked for; empty for this machine's. */
  readonly root: string;
  readonly write: boolean;
  readonly force: boolean;
  readonly json: boolean;
}

const STDOUT = 1;
const SIZE_MAX = 1_048_576;
const EXIT_OK = 0;
const EXIT_MALFORMED = 100;
const EXIT_TEMPORARY = 111;
const USUAL: { readonly [kind in Kind]: string } = {
  ssmtp: '/etc/ssmtp/ssmtp.conf',
  msmtp: '/etc/msmtprc',
  nullmailer: '/etc/nullmailer',
  dma: '/etc/dma/dma.conf',
  qmail: '/var/qmail/control',
};

/** What becomes of a control file. */
type Fate = 'to be written' | 'written' | 'unchanged' | 'differs';

/** Runs the command; returns 0, 100 if something is malformed or stands in the way, 111 if something cannot be read or written. */
export function runImport(command: ImportCommand): number {
  try {
    return importAll(command);
  } catch (error) {
    if (error instanceof SetupRefusal) return fail(error.message, EXIT_MALFORMED);
    throw error;
  }
}

function importAll(command: ImportCommand): number {
  const report = new ImportReport();
  for (const { kind, path } of findSources(command)) readSource(report, kind, path, command.root);
  const fates = new Map(report.controls.map((control) => [control, fateOf(command, control, report)]));
  const isBlocked = !command.force && [...fates.values()].includes('differs');
  let writeError: unknown;
  if (command.write && !isBlocked) {
    try {
      for (const [control, fate] of fates)
        if (fate !== 'unchanged') fates.set(control, write(command, control));
    } catch (error) {
      writeError = error;
    }
  }
  writeBlocking(
    STDOUT,
    Buffer.from(command.json ? formatJson(report, fates) : formatText(command, report, fates)),
  );
  if (writeError !== undefined) return fail(reasonOf(writeError), EXIT_TEMPORARY);
  const has = (result: Finding['result']) => report.findings.some((finding) => finding.result === result);
  if (has('unreadable')) return EXIT_TEMPORARY;
  if (command.write && isBlocked)
    return fail('Nothing was written: see what differs; --force replaces it', EXIT_MALFORMED);
  return has('malformed') ? EXIT_MALFORMED : EXIT_OK;
}

function fail(text: string, exit: number): number {
  complain(Buffer.from(`mini-qmail import: ${text}\n`));
  return exit;
}

function findSources({ paths, from, root, to }: ImportCommand): { kind: Kind; path: string }[] {
  const kinds = IMPORT_KINDS.filter((kind) => from === undefined || kind === from);
  if (kinds.length === 0) {
    throw new SetupRefusal(`Unknown kind ${from}: use one of ${IMPORT_KINDS.join(', ')} with --from`);
  }
  if (paths.length > 0)
    return paths.map((path) => ({ kind: from === undefined ? kindOf(path) : kinds[0]!, path }));
  const usual = kinds.map((kind) => ({ kind, path: root + USUAL[kind] }));
  const found = usual.filter(({ path }) => existsSync(path) && path !== to);
  if (found.length > 0) return found;
  throw new SetupRefusal(
    `Nothing to import at ${usual.map(({ path }) => path).join(', ')}: name a file or folder`,
  );
}

/** What a file or folder is, by its name and what is in it. */
function kindOf(path: string): Kind {
  const name = basename(path);
  if (name === 'ssmtp.conf') return 'ssmtp';
  if (name === 'dma.conf') return 'dma';
  if (name === 'msmtprc' || name === '.msmtprc') return 'msmtp';
  if (existsSync(join(path, 'remotes'))) return 'nullmailer';
  if (name === 'remotes' || basename(dirname(path)) === 'nullmailer') return 'nullmailer';
  if (name === 'control' || basename(dirname(path)) === 'control' || existsSync(join(path, 'me')))
    return 'qmail';
  throw new SetupRefusal(`Cannot tell what ${path} is: say so with --from (${IMPORT_KINDS.join(', ')})`);
}

function readSource(report: ImportReport, kind: Kind, path: string, root: string): void {
  for (const file of filesOf(report, kind, path)) {
    const content = readContent(report, file, file === path);
    if (content === undefined) continue;
    const name = basename(file);
    if (kind === 'ssmtp') importSsmtp(report, file, content);
    else if (kind === 'msmtp') importMsmtp(report, file, content);
    else if (kind === 'dma') importDma(report, file, content, (named) => readName(root + named));
    else if (kind === 'qmail') importQmail(report, file, name, content);
    else if (NULLMAILER_FILES.includes(name)) importNullmailer(report, file, name, content);
    else report.none({ file, line: 0, setting: name, value: '' }, 'unknown to nullmailer');
  }
}

/** The file itself, or the files in a folder by name. */
function filesOf(report: ImportReport, kind: Kind, path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    if (kind !== 'qmail' && kind !== 'nullmailer') {
      report.unreadable(path, 'is a folder, not a file');
      return [];
    }
    return readdirSync(path)
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    report.unreadable(path, errorText(error));
    return [];
  }
}

function readContent(report: ImportReport, file: string, isNamed: boolean): Uint8Array | undefined {
  try {
    const about = statSync(file);
    if (!about.isFile()) {
      // A pipe or a device may have no end.
      if (isNamed) report.unreadable(file, 'is no regular file');
      else report.none({ file, line: 0, setting: 'file', value: '' }, 'is no regular file');
      return undefined;
    }
    if (about.size <= SIZE_MAX) return readFileSync(file);
    report.malformed(
      { file, line: 0, setting: 'file', value: '' },
      `larger than ${SIZE_MAX} bytes: shorten it`,
    );
  } catch (error) {
    report.unreadable(file, errorText(error));
  }
  return undefined;
}

function readName(path: string): string | undefined {
  try {
    const about = statSync(path);
    if (!about.isFile() || about.size > SIZE_MAX) return undefined;
    return Buffer.from(parseControlLine(readFileSync(path))).toString('latin1');
  } catch {
    return undefined;
  }
}

function fateOf({ to }: ImportCommand, { name, content }: ImportedControl, report: ImportReport): Fate {
  try {
    const present = readFileIfPresent(join(to, name));
    if (present === undefined) return 'to be written';
    return equalBytes(present, content) ? 'unchanged' : 'differs';
  } catch (error) {
    report.unreadable(join(to, name), errorText(error));
    return 'differs';
  }
}

function write({ to }: ImportCommand, { name, content }: ImportedControl): Fate {
  const disk = new RootedDisk('');
  if (!disk.isFolder(to)) disk.makeFolder(to);
  disk.writeFile(join(to, name), content, MODE_FILE);
  return 'written';
}

function formatJson({ findings }: ImportReport, fates: ReadonlyMap<ImportedControl, Fate>): string {
  const controls = [...fates].map(([{ name, content, from }, state]) => ({
    name,
    content: Buffer.from(content).toString('latin1'),
    from,
    state,
  }));
  return `${JSON.stringify({ findings, controls }, undefined, 2)}\n`;
}

function formatText(
  { to, write: isWritten }: ImportCommand,
  { findings }: ImportReport,
  fates: ReadonlyMap<ImportedControl, Fate>,
): string {
  const lines = findings.map(({ file, line, setting, value, result, becomes, note }) => {
    const where = line === 0 ? show(file) : `${show(file)}:${line}`;
    const said = value === '' ? show(setting) : `${show(setting)} ${value}`;
    return `${where}: ${said}\n    ${[`${result}${becomes === '' ? '' : `, ${becomes}`}`, note].filter(Boolean).join('; ')}\n`;
  });
  for (const [{ name, from }, fate] of fates)
    lines.push(`${show(to)}/${name}: ${fate}, from ${show(from)}\n`);
  if (!isWritten) lines.push('Nothing was written: --write writes the control files.\n');
  return lines.join('');
}

function show(text: string): string {
  return showBytes(Buffer.from(text));
}
