// The control files of a new installation: those that were asked for, and those that follow. What an administrator has written
// stays unless something else was asked for; a Message-ID is unique only if idhost is this host's own name.
// Source: qmail-control(5); the rules of qmail's config-fast for defaultdomain and plusdomain.

import { bytesOf, equalBytes, textOf } from '../core/bytes/bytes.ts';
import { parseControlLine, parseControlList } from '../core/format/control-file.ts';
import { readServerEntry, type ServerEntry } from '../core/format/server-list.ts';
import { readFileIfPresent } from '../host/control.ts';
import { SetupRefusal } from './setup-refusal.ts';

/** What the caller wants in the control folder. */
export interface ControlRequest {
  readonly me?: string | undefined;
  readonly idhost?: string | undefined;
  readonly servers: readonly string[];
  /** A folder of control files to copy from, or one that has them in its `control`. */
  readonly fromServer?: string | undefined;
  /** The name of this host as the system knows it. */
  readonly hostname: string;
}

/** A control file that shall be there. */
export interface ControlWish {
  readonly name: string;
  readonly content: Uint8Array;
  /** Asked for, so that another content is a contradiction; otherwise it is a default. */
  readonly isAsked: boolean;
}

const NAME_MAX = 255;
const COPIED = ['me', 'defaultdomain', 'plusdomain', 'defaulthost'];

/** The files that a request means for an installation that takes those of `allowed`. @throws SetupRefusal SystemError */
export function controlWishes(request: ControlRequest, allowed: readonly string[]): ControlWish[] {
  const asked = new Map<string, string>();
  if (request.fromServer !== undefined) {
    for (const [name, value] of copiedControls(request.fromServer))
      if (allowed.includes(name)) asked.set(name, value);
  }
  if (request.me !== undefined) asked.set('me', checkedName('--me', request.me));
  if (request.idhost !== undefined) asked.set('idhost', checkedName('--idhost', request.idhost));
  if (request.servers.length > 0) asked.set('qmqpservers', request.servers.map(checkedServer).join('\n'));
  for (const name of asked.keys()) {
    if (!allowed.includes(name))
      throw new SetupRefusal(`control/${name} has no use in this role; leave it out`);
  }
  const wishes = [...asked].map(([name, value]) => wish(name, value, true));
  if (allowed.includes('idhost') && !asked.has('idhost') && isName(request.hostname)) {
    wishes.push(wish('idhost', request.hostname, false));
  }
  if (request.me !== undefined && request.fromServer === undefined && allowed.includes('defaultdomain')) {
    for (const [name, value] of Object.entries(domainsOf(request.me))) wishes.push(wish(name, value, false));
  }
  return wishes;
}

function wish(name: string, value: string, isAsked: boolean): ControlWish {
  return { name, content: bytesOf(`${value}\n`), isAsked };
}

/** Whether a control file means the same with both contents. */
export function meansTheSame(name: string, a: Uint8Array, b: Uint8Array): boolean {
  if (name !== 'qmqpservers') return equalBytes(parseControlLine(a), parseControlLine(b));
  return showControl(name, a) === showControl(name, b);
}

/** What a control file holds, for people: printable, in one line, not too long. */
export function showControl(name: string, content: Uint8Array): string {
  const values = name === 'qmqpservers' ? parseControlList(content) : [parseControlLine(content)];
  const text = values.map((value) => textOf(value).replace(/[^ -~]/g, '?')).join(', ');
  if (text === '') return 'nothing';
  return text.length > NAME_MAX ? `${text.slice(0, NAME_MAX)}...` : text;
}

/** defaultdomain and plusdomain of a host: its name without the first part, and the last two parts. */
function domainsOf(me: string): { defaultdomain: string; plusdomain: string } {
  const parts = me.split('.');
  const last = parts.slice(-2).join('.');
  return { defaultdomain: parts.length > 2 ? parts.slice(1).join('.') : last, plusdomain: last };
}

/** Values of the files that a client has in common with its server. */
function copiedControls(folder: string): [string, string][] {
  const found = [folder, `${folder}/control`]
    .map((from) => readControls(from))
    .find((values) => values.length > 0);
  if (found === undefined) {
    throw new SetupRefusal(
      `--from-server ${folder}: there is none of ${COPIED.join(', ')} in it; give a folder of control files`,
    );
  }
  return found;
}

function readControls(folder: string): [string, string][] {
  return COPIED.flatMap((name): [string, string][] => {
    const content = readFileIfPresent(`${folder}/${name}`);
    return content === undefined ? [] : [[name, textOf(parseControlLine(content))]];
  });
}

/** Whether the text can be the name of a host in a control file and in a message. */
function isName(text: string): boolean {
  return text.length > 0 && text.length <= NAME_MAX && [...text].every((c) => c > ' ' && c <= '~');
}

function checkedName(option: string, name: string): string {
  if (!isName(name)) {
    throw new SetupRefusal(
      `${option} ${JSON.stringify(name)} is no name of a host: at most ${NAME_MAX} characters, no blanks`,
    );
  }
  return name;
}

function checkedServer(server: string): string {
  // Anything may follow the address in a servers file; here it is more likely a mistake.
  const isOneLine = /^[!-~][ -~]*$/.test(server);
  const entry: ServerEntry = isOneLine ? readServerEntry(bytesOf(server)) : { skipped: '' };
  if ('server' in entry && !entry.hasComment) return server;
  throw new SetupRefusal(
    `--server ${JSON.stringify(server)} is no address of a QMQP server: give 192.0.2.1, or for a name, another port or IPv6 qmqp://hub.example, qmqp://192.0.2.1:1628 or qmqp://[2001:db8::1]:628`,
  );
}
