// qmail-showctl --json: the same report for programs. One object per control file, those that qmail knows in the order of
// the plain report, then all others in the order of the folder.

import { parseControlLine, parseControlList, parseControlNumber } from '../core/format/control-file.ts';
import { formatServer, readServerEntry } from '../core/format/server-list.ts';
import { readFileIfPresent } from '../host/control.ts';
import { errorText } from '../host/error-text.ts';
import { type JsonBytes, jsonBytes } from '../host/json-bytes.ts';
import {
  CONTROL_ITEMS,
  type ControlItem,
  MORE_RCPTHOSTS,
  MORE_RCPTHOSTS_CDB,
  READ_BY,
} from './showctl-items.ts';

/** What is known about one control file. */
export interface ControlReport {
  readonly name: JsonBytes;
  readonly format: 'line' | 'number' | 'list' | 'cdb' | 'unknown';
  /** `default`: there is no (usable) value and another one holds; `missing`: there is none. */
  readonly state: 'present' | 'default' | 'missing' | 'unreadable';
  /** The value that holds, of a line or a number; absent if there is none or it is unknown. */
  readonly value?: JsonBytes | number;
  /** The entries of a list. */
  readonly values?: readonly JsonBytes[];
  /** What each entry of qmqpservers means. */
  readonly servers?: readonly ServerReport[];
  /** Where a default comes from: `control/me`, or `built in`. */
  readonly defaultSource?: string;
  /** Why it cannot be read. */
  readonly problem?: string;
  /** Programs that read it. */
  readonly readBy: readonly string[];
}

/** An entry of qmqpservers: the server as it will be used, or why the entry is skipped. */
export type ServerReport =
  | { readonly server: string; readonly isCommentIgnored?: true }
  | { readonly skipped: string };

/**
 * Reports all control files.
 * @param names of all files in the folder, in its order
 * @param me value of control/me, if that exists
 */
export function reportControls(
  control: string,
  names: readonly Uint8Array[],
  me: Uint8Array | undefined,
): ControlReport[] {
  const reports = CONTROL_ITEMS.flatMap((item): ControlReport[] => {
    const report = reportItem(control, item, me);
    if (item.file !== 'rcpthosts') return [report];
    const more = { kind: 'list', file: MORE_RCPTHOSTS } as const;
    return [report, reportItem(control, more, me), reportCompiled(control)];
  });
  const known = reports.map(({ name }) => name);
  for (const bytes of names) {
    const name = jsonBytes(bytes);
    if (!known.includes(name)) reports.push({ name, format: 'unknown', state: 'present', readBy: [] });
  }
  return reports;
}

type Shape = Pick<ControlItem, 'kind' | 'file'> | ControlItem;

function reportItem(control: string, item: Shape, me: Uint8Array | undefined): ControlReport {
  const base = { name: item.file, format: item.kind, readBy: READ_BY[item.file] ?? [] };
  let content: Uint8Array | undefined;
  try {
    content = readFileIfPresent(`${control}/${item.file}`);
  } catch (error) {
    return { ...base, state: 'unreadable', problem: errorText(error) };
  }
  if (item.kind === 'list') {
    const entries = content === undefined ? [] : parseControlList(content);
    const servers = item.file === 'qmqpservers' ? { servers: entries.map(reportServer) } : {};
    const state = content === undefined ? 'missing' : 'present';
    return { ...base, state, values: entries.map(jsonBytes), ...servers };
  }
  const value =
    content && (item.kind === 'line' ? jsonBytes(parseControlLine(content)) : parseControlNumber(content));
  if (value !== undefined) return { ...base, state: 'present', value };
  if (item.file === 'me' || !('fallback' in item)) return { ...base, state: 'missing' };
  const fromMe = item.kind === 'line' && item.usesMe ? me : undefined;
  return fromMe === undefined
    ? { ...base, state: 'default', value: item.fallback, defaultSource: 'built in' }
    : { ...base, state: 'default', value: jsonBytes(fromMe), defaultSource: 'control/me' };
}

function reportServer(text: Uint8Array): ServerReport {
  const entry = readServerEntry(text);
  if ('skipped' in entry) return entry;
  return { server: formatServer(entry.server), ...(entry.hasComment && { isCommentIgnored: true }) };
}

function reportCompiled(control: string): ControlReport {
  const base = {
    name: MORE_RCPTHOSTS_CDB,
    format: 'cdb',
    readBy: READ_BY[MORE_RCPTHOSTS_CDB] ?? [],
  } as const;
  try {
    const content = readFileIfPresent(`${control}/${MORE_RCPTHOSTS_CDB}`);
    return { ...base, state: content === undefined ? 'missing' : 'present' };
  } catch (error) {
    return { ...base, state: 'unreadable', problem: errorText(error) };
  }
}
