// The folder that `mini-qmail start` works in: made if it is not there, with the few control files that a hub and a null
// client on one machine need. What an administrator wrote is never changed.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { readControlLine } from '../host/control.ts';
import { SystemError } from '../host/system-error.ts';
import { formatHostPort, type HostPort } from './host-port.ts';

/** First line of a servers file that is ours to rewrite, since the port may change with each start. */
const OURS = '# Written by mini-qmail start; remove this line to keep your own servers.\n';

/**
 * Makes HOME with control/me, defaultdomain and locals where they are missing.
 * @returns the name of this host as control/me says
 * @throws SystemError
 */
export function prepareHome(home: string): string {
  try {
    makeFolders(`${home}/control`);
    writeIfMissing(`${home}/control/me`, `${guessName()}\n`);
    const me = textOf(readControlLine(home, 'me') ?? bytesOf('localhost.localdomain'));
    writeIfMissing(`${home}/control/defaultdomain`, `${me.slice(me.indexOf('.') + 1)}\n`);
    writeIfMissing(`${home}/control/locals`, `${me}\nlocalhost\n`);
    return me;
  } catch (error) {
    throw error instanceof SystemError ? error : new SystemError('prepare', home, error);
  }
}

/** Tells the clients of this home where the hub listens, unless somebody else wrote the file. @throws SystemError */
export function writeServers(home: string, { host, port }: HostPort): void {
  const path = `${home}/control/qmqpservers`;
  try {
    if (existsSync(path) && !readFileSync(path, 'latin1').startsWith(OURS)) return;
    const isPlain = port === 628 && !host.includes(':');
    const server = isPlain ? host : `qmqp://${formatHostPort({ host, port })}`;
    writeFileSync(path, `${OURS}${server}\n`);
  } catch (error) {
    throw new SystemError('write', path, error);
  }
}

/**
 * Makes a folder and those above it. Node's own recursive way never ends where a folder exists and the system says of a
 * name in it that it does not, as in /proc.
 */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  mkdirSync(path);
}

function writeIfMissing(path: string, content: string): void {
  if (!existsSync(path)) writeFileSync(path, content, { flag: 'wx', mode: 0o644 });
}

/** This host's name, with a domain: addresses without one would be completed to something that nobody owns. */
function guessName(): string {
  const name = hostname().toLowerCase();
  const isPlain =
    name !== '' &&
    [...name].every((c) => (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c === '-' || c === '.');
  if (!isPlain) return 'localhost.localdomain';
  return name.includes('.') ? name : `${name}.localdomain`;
}
