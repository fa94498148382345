// qmail-showctl: says what the control files of the home mean. Problems are part of the report: it is for people, and goes
// to standard output as a whole. Source: the qmail-showctl manual page.
// Differs: with --json as its first argument it prints the report as an array; the original ignores all arguments.

import { opendirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { ByteBuffer } from '../core/bytes/byte-buffer.ts';
import { textOf } from '../core/bytes/bytes.ts';
import { parseControlLine, parseControlList, parseControlNumber } from '../core/format/control-file.ts';
import { printable } from '../core/message/summary.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { readControlLine, readFileIfPresent } from '../host/control.ts';
import { canEnter } from '../host/invocation.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { failOnSystem } from './fatal.ts';
import {
  CONTROL_ITEMS,
  type ControlItem,
  MORE_RCPTHOSTS,
  MORE_RCPTHOSTS_CDB,
  moreRcpthostsItem,
} from './showctl-items.ts';
import { reportControls } from './showctl-json.ts';

const STDOUT = 1;
const USERS = ['alias', 'qmaild', 'qmaill', 'root', 'qmailp', 'qmailq', 'qmailr', 'qmails'];
const GROUPS = ['nofiles', 'qmail'];
/** What stands for a user or group that this host does not have: nobody. */
const NO_ID = '65534';
const UNREADABLE = 'Oops! Trouble reading this file.\n';

/** Runs qmail-showctl to its end; returns its exit code. */
export function runQmailShowctl({ home, args }: ProgramCall): number {
  const report = new ByteBuffer(4096);
  const isJson = args[0] !== undefined && textOf(args[0]) === '--json';
  const reporter = new Reporter(home, report);
  const isWhole = isJson ? reporter.writeJson() : reporter.write();
  try {
    writeBlocking(STDOUT, report.view());
  } catch (error) {
    return failOnSystem('qmail-showctl', ['write'], error);
  }
  if (isWhole) return 0;
  return 111;
}

class Reporter {
  readonly #home: string;
  readonly #control: string;
  readonly #report: ByteBuffer;
  #me: Uint8Array | undefined;

  constructor(home: string, report: ByteBuffer) {
    this.#home = home;
    this.#control = `${home}/control`;
    this.#report = report;
  }

  /** Writes the report; false if it ends with a problem. */
  write(): boolean {
    this.#head();
    const names = this.#enter();
    if (names === undefined) return false;
    const known = [...CONTROL_ITEMS.map(({ file }) => file), MORE_RCPTHOSTS, MORE_RCPTHOSTS_CDB];
    for (const item of CONTROL_ITEMS) {
      this.#item(item);
      if (item.file !== 'rcpthosts') continue;
      this.#item(moreRcpthostsItem(this.#status('rcpthosts') !== undefined));
      this.#title(MORE_RCPTHOSTS_CDB);
      this.#text(this.#compiledState());
    }
    for (const name of names) {
      if (known.includes(name.toString('latin1'))) continue;
      this.#text('\n');
      this.#report.append(name);
      this.#text(': I have no idea what this file does.\n');
    }
    return true;
  }

  /** Writes the report as JSON; false, with the reason on standard error, if there is none. */
  writeJson(): boolean {
    const names = this.#enter();
    if (names === undefined) {
      const problem = textOf(this.#report.view())
        .replace(/^Oops! /, '')
        .trimEnd();
      complain(`qmail-showctl: fatal: ${problem}\n`);
      this.#report.clear();
      return false;
    }
    this.#text(`${JSON.stringify(reportControls(this.#control, names, this.#me), undefined, 2)}\n`);
    return true;
  }

  #text(text: string): void {
    this.#report.append(Buffer.from(text));
  }

  #head(): void {
    this.#text(`qmail home directory: ${this.#home}.\n`);
    this.#text('user-ext delimiter: -.\npaternalism (in decimal): 2.\n');
    this.#text('silent concurrency limit: 120.\nsubdirectory split: 23.\n');
    this.#text(`user ids: ${idsOf('/etc/passwd', USERS)}.\n`);
    this.#text(`group ids: ${idsOf('/etc/group', GROUPS)}.\n`);
  }

  /** Reads `me` and the names of all control files, in the folder's order; undefined if there is a problem, which is told. */
  #enter(): Buffer[] | undefined {
    if (!canEnter(this.#home)) return this.#giveUp(`Oops! Unable to chdir to ${this.#home}.\n`);
    if (!canEnter(this.#control)) return this.#giveUp('Oops! Unable to chdir to control.\n');
    let names: Buffer[];
    try {
      names = listInOrder(this.#control);
    } catch {
      return this.#giveUp('Oops! Unable to open current directory.\n');
    }
    try {
      this.#me = readControlLine(this.#home, 'me');
    } catch {
      return this.#giveUp('Oops! Trouble reading control/me.');
    }
    return names;
  }

  #giveUp(text: string): undefined {
    this.#text(text);
  }

  #title(file: string): void {
    this.#text(`\n${file}: `);
  }

  #item(item: ControlItem): void {
    this.#title(item.file);
    let content: Uint8Array | undefined;
    try {
      content = readFileIfPresent(`${this.#control}/${item.file}`);
    } catch {
      this.#text(UNREADABLE);
      return;
    }
    if (item.kind === 'line') this.#line(item, content);
    else if (item.kind === 'number') this.#number(item, content);
    else this.#list(item, content);
  }

  #line(item: ControlItem & { kind: 'line' }, content: Uint8Array | undefined): void {
    const fallback = (item.usesMe ? this.#me : undefined) ?? Buffer.from(item.fallback);
    if (content === undefined) this.#text('(Default.) ');
    this.#text(item.before);
    this.#report.append(printable(content === undefined ? fallback : parseControlLine(content), '?'));
    this.#text('.\n');
  }

  #number(item: ControlItem & { kind: 'number' }, content: Uint8Array | undefined): void {
    const value = content && parseControlNumber(content);
    const isDefault = value === undefined ? '(Default.) ' : '';
    this.#text(`${isDefault}${item.before}${value ?? item.fallback}${item.after}.\n`);
  }

  #list(item: ControlItem & { kind: 'list' }, content: Uint8Array | undefined): void {
    this.#text(content === undefined ? `(Default.) ${item.fallback}\n` : '\n');
    for (const entry of content === undefined ? [] : parseControlList(content)) {
      this.#text(item.before);
      this.#report.append(printable(entry, '?'));
      this.#text(`${item.after}\n`);
    }
  }

  #compiledState(): string {
    const source = this.#status(MORE_RCPTHOSTS);
    const compiled = this.#status(MORE_RCPTHOSTS_CDB);
    if (source === undefined && compiled === undefined) return '(Default.) No effect.\n';
    if (source === undefined) return "Oops! morercpthosts.cdb exists but morercpthosts doesn't.\n";
    if (compiled === undefined) return "Oops! morercpthosts exists but morercpthosts.cdb doesn't.\n";
    const isOlder = Math.floor(compiled.mtimeMs / 1000) < Math.floor(source.mtimeMs / 1000);
    if (isOlder) return 'Oops! morercpthosts.cdb is older than morercpthosts.\n';
    return 'Modified recently enough; hopefully up to date.\n';
  }

  #status(file: string): Stats | undefined {
    try {
      return statSync(`${this.#control}/${file}`);
    } catch {
      return undefined;
    }
  }
}

/** All names in a folder as the system gives them; readdir() would sort them. */
function listInOrder(folder: string): Buffer[] {
  // The types know of names as strings only.
  const handle = opendirSync(folder, { encoding: 'buffer' as BufferEncoding });
  const names: Buffer[] = [];
  for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
    names.push(entry.name as unknown as Buffer);
  }
  handle.closeSync();
  return names;
}

/** Numbers of users or groups by a file in the format of /etc/passwd. */
function idsOf(path: string, names: readonly string[]): string {
  let lines: string[] = [];
  try {
    lines = readFileSync(path, 'latin1').split('\n');
  } catch {
    // A host without the file has none of them.
  }
  const fields = lines.map((line) => line.split(':'));
  const idOf = (name: string) => fields.find(([first]) => first === name)?.[2] ?? NO_ID;
  return names.map(idOf).join(', ');
}
