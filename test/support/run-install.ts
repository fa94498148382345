// Runs `mini-qmail install` and whatever it has installed, below a temporary folder that goes when the tests of a file end.

import assert from 'node:assert/strict';
import { type StdioOptions, spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { ROOT } from './client-vectors.ts';

/** The interpreter that came with `npm ci`. */
export const NODE = realpathSync(join(ROOT, 'node_modules/node/bin/node'));

/** Holds everything that is installed. */
export const folder = mkdtempSync(join(tmpdir(), 'installed-'));
after(() => rmSync(folder, { recursive: true }));

let count = 0;

/** A path below {@link folder} that nothing is at. */
export function fresh(): string {
  return join(folder, String(++count));
}

/** How a run ended. */
export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs mini-qmail, or another command; if that sends mail, to a server that is down. */
export function run(
  args: readonly string[],
  command = join(ROOT, 'bin/mini-qmail'),
  options: { readonly uid?: number; readonly env?: object; readonly stdio?: StdioOptions } = {},
): Result {
  const env = { PATH: '/usr/bin:/bin', NO_COLOR: '1', QMQPSERVERS: 'qmqp://127.0.0.1:1', ...options.env };
  return spawnSync(command, args, { encoding: 'utf8', timeout: 30_000, ...options, env });
}

/** Runs the installer with this Node where it is, which saves a copy of 150 MB. */
export function install(prefix: string, ...words: string[]): Result {
  return run(['install', '--prefix', prefix, '--node', NODE, ...words]);
}

/** Runs the installer, which must work. @returns what it printed */
export function installed(prefix: string, ...words: string[]): string {
  const { status, stdout, stderr } = install(prefix, ...words);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, stdout);
  return stdout;
}
