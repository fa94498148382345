// The form of control files: names that nobody reads, bytes that do not belong into them, numbers that are none, rights that are
// too wide or too narrow. What a value means to a program is checked elsewhere.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { findByte } from '../core/bytes/bytes.ts';
import { parseControlLine, parseControlList, parseControlNumber } from '../core/format/control-file.ts';
import { errorText } from '../host/error-text.ts';
import { showBytes } from '../setup/show-bytes.ts';
import { type Finding, Findings } from './finding.ts';
import type { Installation } from './installation.ts';
import { type ControlFormat, KNOWN_CONTROLS, likelyMeant, SECRET_CONTROLS } from './known-controls.ts';

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const HASH = 35;
const WRITABLE_BY_ALL = 0o002;
const READABLE_BY_ALL = 0o004;
const SEARCHABLE_BY_ALL = 0o001;
const NUMBER_HIGHEST = 2 ** 32 - 1;
/** What editors and package managers leave behind. */
const LEFTOVER = /~$|^\.|^#|\.(?:bak|orig|old|save|swp|tmp|rpmnew|rpmsave|dpkg-\w+|ucf-\w+)$/;
/** An editor of other systems puts these first. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const STRIP = 'rewrite it without them:';

/** Looks at every file in HOME/control. */
export function checkControlFiles({ home, roles }: Pick<Installation, 'home' | 'roles'>): Finding[] {
  const found = new Findings('control');
  const folder = `${home}/control`;
  let names: string[];
  try {
    names = readdirSync(folder).sort();
    checkFolderRights(folder, roles, found);
  } catch (error) {
    const remedy = 'give the right --home DIR, or install one: mini-qmail install --role ROLE';
    found.error(folder, `cannot be read: ${errorText(error)}`, remedy);
    return found.list;
  }
  let inOrder = 0;
  for (const name of names) {
    const before = found.list.length;
    const format = KNOWN_CONTROLS.get(name);
    if (format === undefined) tellUnknown(name, found);
    else checkFile({ folder, name, format, isForAll: roles.some((role) => role !== 'hub') }, found);
    if (format !== undefined && found.list.length === before) inOrder++;
  }
  found.ok(folder, `${inOrder} of ${names.length} files are of good form`);
  return found.list;
}

function tellUnknown(name: string, found: Findings): void {
  const meant = likelyMeant(name);
  const subject = `control/${name}`;
  if (LEFTOVER.test(name)) found.note(subject, 'is left over: nobody reads a file of that name');
  else if (meant === undefined) found.note(subject, 'is read by no program of mini-qmail');
  else found.warning(subject, `is read by nobody; is ${meant} meant?`, `mv control/${name} control/${meant}`);
}

function checkFolderRights(folder: string, roles: Installation['roles'], found: Findings): void {
  const { mode } = statSync(folder);
  if ((mode & WRITABLE_BY_ALL) !== 0)
    found.error(folder, 'everybody may write here, and send all mail elsewhere', `chmod o-w ${folder}`);
  if ((mode & SEARCHABLE_BY_ALL) === 0 && roles.some((role) => role !== 'hub'))
    found.warning(folder, 'programs of other users cannot read it, and send no mail', `chmod a+rx ${folder}`);
}

interface ControlFile {
  readonly folder: string;
  readonly name: string;
  readonly format: ControlFormat;
  /** Whether programs of every user read it. */
  readonly isForAll: boolean;
}

function checkFile({ folder, name, format, isForAll }: ControlFile, found: Findings): void {
  const path = `${folder}/${name}`;
  const subject = `control/${name}`;
  try {
    const status = statSync(path);
    if (status.isDirectory() !== (format === 'folder')) {
      const what = status.isDirectory() ? 'is a folder and must be a file' : 'is a file and must be a folder';
      found.error(subject, `${what}: all that read it fail for now`, `remove or rename ${path}`);
      return;
    }
    const isSecret = SECRET_CONTROLS.includes(name);
    if ((status.mode & WRITABLE_BY_ALL) !== 0)
      found.error(subject, 'everybody may write to it', `chmod o-w ${path}`);
    if (isSecret && (status.mode & READABLE_BY_ALL) !== 0)
      found.error(subject, 'holds a secret, and everybody may read it', `chmod o-r ${path}`);
    if (!isSecret && isForAll && (status.mode & READABLE_BY_ALL) === 0)
      found.warning(subject, 'programs of other users cannot read it, and send no mail', `chmod a+r ${path}`);
    if (['line', 'number', 'list'].includes(format))
      for (const finding of judgeControlContent(name, format, readFileSync(path))) found.list.push(finding);
  } catch (error) {
    const remedy = `mend its rights, or where it leads: ls -lL ${path}`;
    found.error(subject, `cannot be read: ${errorText(error)}; all that read it fail for now`, remedy);
  }
}

/** Judges the bytes of a control file, whatever they mean. */
export function judgeControlContent(name: string, format: ControlFormat, content: Uint8Array): Finding[] {
  const found = new Findings('control');
  const subject = `control/${name}`;
  if (BYTE_ORDER_MARK.every((byte, i) => content[i] === byte)) {
    const remedy = `${STRIP} tail -c +4 control/${name}`;
    found.error(subject, 'begins with a byte order mark, which becomes part of the value', remedy);
  }
  if (findByte(content, CR) >= 0) {
    const remedy = `${STRIP} tr -d '\\r' < control/${name}`;
    found.error(subject, 'has carriage returns, which become part of values', remedy);
  }
  if (findByte(content, 0) >= 0)
    found.error(subject, 'has NUL bytes, which divide entries', `${STRIP} tr -d '\\0' < control/${name}`);
  if (format === 'list') judgeList(subject, content, found);
  else judgeValue(subject, format, content, found);
  return found.list;
}

function judgeValue(subject: string, format: ControlFormat, content: Uint8Array, found: Findings): void {
  const value = parseControlLine(content);
  const shown = showBytes(value.subarray(0, 60));
  const lf = findByte(content, LF);
  const more = lf < 0 ? [] : parseControlList(content.subarray(lf + 1));
  if (more.length > 0)
    found.note(subject, `only its first line counts, ${more.length} more are ignored`, 'remove them');
  if (format === 'number' && subject !== 'control/queuediskfree') {
    const number = parseControlNumber(content);
    const digits = /^\d*/.exec(shown)?.[0] ?? '';
    if (number === undefined)
      found.warning(subject, `"${shown}" is no number: the default holds`, `write digits into ${subject}`);
    else if (Number(digits) > NUMBER_HIGHEST)
      found.error(subject, `${digits} is too large, and counts as ${number}`, 'write a smaller number');
    else if (digits !== shown)
      found.warning(subject, `"${shown}" counts as ${number}: what follows is ignored`, 'write digits only');
  } else if (value.length === 0) {
    const remedy = `remove it, so that its default holds, or write one line into it`;
    found.warning(subject, 'is empty: its value is empty, not the default', remedy);
  } else if (value[0] === SPACE || value[0] === TAB || value[0] === HASH) {
    found.warning(subject, `"${shown}": its first character is part of the value`, 'remove it');
  }
}

function judgeList(subject: string, content: Uint8Array, found: Findings): void {
  const entries = parseControlList(content);
  const indented = entries.filter((entry) => entry[0] === SPACE || entry[0] === TAB);
  if (indented.length === 0) return;
  const shown = showBytes(indented[0]!.subarray(0, 40));
  found.warning(
    subject,
    `"${shown}": a blank at the beginning belongs to the entry`,
    'remove it from the line',
  );
}
