// Runs a command of a user through the shell, as one argument of it and byte for byte. Node hands over arguments and
// variables as UTF-8; where that would damage some, a short script hands them over instead, as octal escapes.

import type { ChildEnd } from './child.ts';
import type { Environment } from './raw-arguments.ts';

const SHELL = '/bin/sh';
const REPLACEMENT = '\uFFFD';
const QUOTE = 39;
const BACKSLASH = 92;

/** What a command gets. */
export interface ShellCall {
  /** Without NUL. */
  readonly command: Uint8Array;
  readonly env: Environment;
  /** Descriptor that becomes its standard input; standard output and error are ours. */
  readonly input: number;
}

/** Runs `/bin/sh -c COMMAND` to its end, in the working directory. */
export function runShellCommand({ command, env, input }: ShellCall): ChildEnd {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const text = Buffer.from(command).toString();
  const damaged = env.damaged().filter(([name]) => isShellName(name));
  const isDamaged = damaged.length > 0 || text.includes(REPLACEMENT);
  const { error, status } = spawnSync(SHELL, ['-c', isDamaged ? scriptFor(command, damaged) : text], {
    env: env.strings,
    stdio: [input, 'inherit', 'inherit'],
  });
  if (error !== undefined) return { notStarted: error };
  return status ?? 'crashed';
}

/** A script in ASCII that sets the variables and becomes a shell for the command. */
function scriptFor(command: Uint8Array, variables: readonly (readonly [string, Uint8Array])[]): string {
  // A command substitution loses line ends at the end: a letter stands behind them.
  const take = (value: Uint8Array) => `set -- "$(printf %b '${escapeForPrintf(value)}_')"`;
  const exports = variables.map(([name, value]) => `${take(value)}; export ${name}="\${1%_}"`);
  return [...exports, take(command), `exec ${SHELL} -c "\${1%_}"`].join('\n');
}

/** Bytes as an argument of `printf %b`, fit for single quotes. */
function escapeForPrintf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const isPlain = byte >= 32 && byte < 127 && byte !== QUOTE && byte !== BACKSLASH;
    text += isPlain ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, '0')}`;
  }
  return text;
}

function isShellName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}
