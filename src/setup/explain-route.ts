// Where a completed message would go first: standard output, a queue program, or a QMQP server and the line that names it.
// Nothing is connected to.

import { chooseQueueProgram } from '../client/open-queue-program.ts';
import { readQmqpServers } from '../client/qmqp-submit.ts';
import { readSpillSettings } from '../client/spill-folder.ts';
import { parseControlList } from '../core/format/control-file.ts';
import {
  formatServer,
  readServerEntry,
  readServerVariable,
  type ServerEntry,
} from '../core/format/server-list.ts';
import { formatOptions } from '../core/format/server-list-options.ts';
import { formatPlace } from '../core/format/server-list-place.ts';
import { readFileIfPresent } from '../host/control.ts';
import { reasonOf } from '../host/system-error.ts';
import { showBytes } from './show-bytes.ts';

const LF = 10;

/** The first stop of a message, why, and what else is to be known about it. */
export interface Route {
  readonly kind: 'standard output' | 'program' | 'qmqp' | 'none';
  /** Path of the program or `HOST:PORT` of the server; absent for the others. */
  readonly target?: string;
  readonly reason: string;
  readonly notes: readonly string[];
}

/** Finds the first stop of a message in that home. */
export function findRoute(
  call: { home: string; ownBin: string; env: { readonly [name: string]: string | undefined } },
  isPrinted: boolean,
): Route {
  const { home, env } = call;
  if (isPrinted) return { kind: 'standard output', reason: 'option -n', notes: [] };
  const program = chooseQueueProgram(call);
  if (program !== undefined) {
    const isChosen = env['QMAILQUEUE'] !== undefined;
    const reason = isChosen ? 'QMAILQUEUE' : `${home}/bin/qmail-queue is not the QMQP client of this package`;
    return {
      kind: 'program',
      target: program,
      reason,
      notes: ['what it does with the message is its own affair'],
    };
  }
  const found = readQmqpServers({ home, env });
  const source = env['QMQPSERVERS'] ? 'QMQPSERVERS' : 'control/qmqpservers';
  if ('exit' in found) {
    const reason = `${source} cannot be used: queue program exit code ${found.exit}; check ${home}/control`;
    return { kind: 'none', reason, notes: [] };
  }
  const entries = listServerEntries(home, env['QMQPSERVERS']);
  const first = entries.find(({ entry }) => 'server' in entry);
  const notes = entries.flatMap((entry) => noteOn(entry, entry === first));
  const [server] = found.servers;
  if (first === undefined || server === undefined) {
    return { kind: 'none', reason: `${source} has no address of a server`, notes };
  }
  const others = found.servers.length - 1;
  const reason = others > 0 ? `${first.where}, the first of ${others + 1}` : first.where;
  const target = formatPlace(server).replace('qmqp://', '');
  return { kind: 'qmqp', target, reason, notes: [...notes, ...noteOnSpill(home)] };
}

/** Where a message waits that no server takes. */
function noteOnSpill(home: string): string[] {
  try {
    const spill = readSpillSettings(home);
    return spill === undefined
      ? []
      : [`control/spilldir: if no server takes it for now, it waits in ${spill.path}`];
  } catch (error) {
    return [reasonOf(error)];
  }
}

/** What is to be known about an entry of the list. @param isFirst whether the route tells already where it leads */
function noteOn({ entry, where, text }: ListedEntry, isFirst: boolean): string[] {
  const shown = showBytes(text);
  if ('skipped' in entry) return [`${where} is passed over: ${shown}: ${entry.skipped}`];
  const options = formatOptions(entry.server).join(' ');
  const notes: string[] = [];
  if (!isFirst) notes.push(`${where} is a further server: ${formatServer(entry.server)}`);
  else if (options !== '') notes.push(`${where} asks for ${options}`);
  if (entry.hasComment)
    notes.push(`${where}: what follows the address in ${shown} is ignored, its port is 628`);
  return notes;
}

/** An entry of a list of servers. */
export interface ListedEntry {
  readonly text: Uint8Array;
  /** The line of the file, or the number of the entry in the variable. */
  readonly where: string;
  readonly entry: ServerEntry;
}

/** Lists the entries of `$QMQPSERVERS` if that is chosen, else those of HOME/control/qmqpservers. @throws SystemError */
export function listServerEntries(home: string, chosen: string | undefined): ListedEntry[] {
  if (chosen) {
    return readServerVariable(Buffer.from(chosen)).map((entry, i) => ({
      ...entry,
      where: `QMQPSERVERS, entry ${i + 1}`,
    }));
  }
  const content = readFileIfPresent(`${home}/control/qmqpservers`) ?? new Uint8Array(0);
  const found: ListedEntry[] = [];
  let line = 0;
  for (let from = 0; from < content.length; ) {
    const lf = content.indexOf(LF, from);
    const end = lf < 0 ? content.length : lf;
    line++;
    const where = `control/qmqpservers:${line}`;
    for (const text of parseControlList(content.subarray(from, end)))
      found.push({ text, where, entry: readServerEntry(text) });
    from = end + 1;
  }
  return found;
}
