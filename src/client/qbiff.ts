// qbiff: tells a user who is logged in, and has said "biff y", of new mail. It never fails and never says so: a message is
// delivered whether or not anybody looks. Source: the qbiff manual page.

import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { bytesOf, concatBytes, findByte } from '../core/bytes/bytes.ts';
import { LOGIN_RECORD_BYTES, terminalsOf } from '../core/format/login-records.ts';
import { printable } from '../core/message/summary.ts';
import type { ProgramWords } from '../host/program-words.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { readMessageText } from './message-text.ts';

/** Bytes of the second line, and of the blanks that it begins with. */
const LINE_BYTES = 78;
const INDENT = '    ';
const OWNER_EXECUTE = 0o100;
const SLASH = 47;
const DOT = 46;

/** Where logins and terminals are found. */
export interface LoginPlaces {
  readonly records: string;
  readonly devices: string;
}

const OF_THIS_HOST: LoginPlaces = { records: '/var/run/utmp', devices: '/dev' };

/** Tells the user named by the environment of the message on standard input. Never throws. */
export function runQbiff({ env }: ProgramWords, places = OF_THIS_HOST): void {
  const user = env.get('USER');
  const sender = env.get('SENDER');
  const local = env.get('LOCAL');
  if (user === undefined || sender === undefined || local === undefined) return;
  try {
    const { short, long } = LOGIN_RECORD_BYTES;
    const records = readFileSync(places.records);
    const terminals = terminalsOf(records, process.arch === 'arm64' ? long : short, user);
    if (terminals.length === 0) return;
    const shown = readMessageText(
      (buffer) => readStandardInput(buffer),
      LINE_BYTES - INDENT.length,
      () => {},
    );
    const text = formatNotice(local, sender, shown);
    for (const terminal of terminals) tell(places.devices, terminal, text);
  } catch {}
}

function formatNotice(local: Uint8Array, sender: Uint8Array, text: Uint8Array): Uint8Array {
  return concatBytes([
    bytesOf('\r\n\x07*** TO <'),
    printable(local, '_'),
    bytesOf('> FROM <'),
    printable(sender, '_'),
    bytesOf(`>\r\n${INDENT}`),
    printable(text, '/'),
    bytesOf('\r\n'),
  ]);
}

/** Writes to a terminal that is the user's own and open for such messages. */
function tell(devices: string, terminal: Uint8Array, text: Uint8Array): void {
  if (terminal[0] === SLASH || findByte(terminal, DOT) >= 0) return;
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    const path = Buffer.concat([Buffer.from(`${devices}/`), terminal]);
    const descriptor = openSync(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    try {
      const { mode, uid } = fstatSync(descriptor);
      // One attempt: a terminal that takes nothing must not hold up the delivery.
      if ((mode & OWNER_EXECUTE) !== 0 && uid === process.getuid?.()) writeSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // A terminal that is gone, or not for us.
  }
}
