// Starts a program with a connection as its descriptors 0 and 1, as an exec() would: with this environment and no other,
// every byte of it. Two things Node cannot do the shell does, in the process that becomes the program: it waits until the
// caller has written what belongs before the program's own words, and it knows words and values that are not UTF-8.

import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { textOf } from '../core/bytes/bytes.ts';
import type { Environment } from '../host/raw-arguments.ts';

/** What to start. */
export interface SocketProgram {
  /** Where the program is. */
  readonly path: string;
  /** The program's name as given and its arguments. */
  readonly words: readonly Uint8Array[];
  readonly env: Environment;
  /** Whether the program has to wait until it is let go. */
  readonly mustWait: boolean;
}

/** A program that was started, or not: `child.pid` is undefined then, and the event `error` follows. */
export interface StartedProgram {
  readonly child: ChildProcess;
  /** Lets a program go that had to wait. */
  letGo(): void;
}

/**
 * Starts the program; the caller's copy of the socket is to be destroyed afterwards. Descriptor 2 is ours.
 * @throws Error as child_process.spawn does
 */
export function spawnOnSocket(socket: Socket, program: SocketProgram): StartedProgram {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const { path, words, env, mustWait } = program;
  if (mustWait || !isUtf8(program)) {
    const script = becomeScript(program);
    if (script !== undefined) {
      const child = spawn(SHELL, ['-c', script], { env: {}, stdio: [socket, socket, 'inherit', 'pipe'] });
      const gate = child.stdio[3] as Socket | undefined;
      gate?.on('error', () => {});
      return { child, letGo: () => gate?.destroy() };
    }
  }
  const [name = '', ...args] = words.map((word) => Buffer.from(word).toString());
  const options = { argv0: name, env: env.strings };
  return { child: spawn(path, args, { ...options, stdio: [socket, socket, 'inherit'] }), letGo: () => {} };
}

const SHELL = '/bin/sh';
const ENV = '/usr/bin/env';
// The kernel's limit for one argument is 128 KB; octal numbers make four bytes of one.
const SCRIPT_MAX = 120_000;
const REPLACEMENT = '\uFFFD';

function isUtf8({ words, env }: SocketProgram): boolean {
  if (words.some((word) => Buffer.from(word).toString().includes(REPLACEMENT))) return false;
  return !Object.values(env.strings).some((value) => value.includes(REPLACEMENT));
}

/** A script that waits for the end of descriptor 3 and becomes the program; undefined if there can be none. */
function becomeScript(program: SocketProgram): string | undefined {
  if (program.path.includes('=') || !existsSync(SHELL) || !existsSync(ENV)) return undefined;
  const command = becomeCommand(program);
  const text = isUtf8(program) ? command.toString() : `eval "$(printf '${inOctal(command)}')"`;
  const script = `read x <&3;exec 3<&-;${text}`;
  return script.length > SCRIPT_MAX ? undefined : script;
}

/** As bytes: `exec env -i VARIABLES… PROGRAM ARGUMENTS…`. */
function becomeCommand({ path, words, env }: SocketProgram): Buffer {
  const variables = Object.keys(env.strings)
    // A name that env would take for an option, or refuse, comes from nobody but a strange rule.
    .filter((name) => name !== '' && !name.startsWith('-'))
    .map((name) => Buffer.concat([Buffer.from(`${name}=`), env.get(name) ?? new Uint8Array(0)]));
  const parts = [...variables, Buffer.from(path), ...words.slice(1)].map(quote);
  return Buffer.concat([Buffer.from(`exec ${ENV} -i`), ...parts]);
}

function quote(word: Uint8Array): Buffer {
  return Buffer.from(` '${textOf(word).replaceAll("'", "'\\''")}'`, 'latin1');
}

function inOctal(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `\\${byte.toString(8).padStart(3, '0')}`;
  return text;
}
