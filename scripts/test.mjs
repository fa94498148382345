// Runs the tests: builds, then hands every *.test.ts to the interpreter that came with `npm ci`.
// `node scripts/test.mjs src/core` runs those below a folder or in a file. The null client's programs are tested as installed:
// in a fresh prefix that `mini-qmail install` has made, which MINI_QMAIL_BIN leads to.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE = join(ROOT, 'node_modules/node/bin/node');
const wanted = process.argv.slice(2);

/** Folder or file below the root to glob patterns of test files. */
function patterns(paths) {
  if (paths.length === 0) return ['src/**/*.test.ts', 'test/**/*.test.ts'];
  return paths.map((path) => (path.endsWith('.ts') ? path : `${path.replace(/\/$/, '')}/**/*.test.ts`));
}

/** Runs a command to its end. @returns whether it succeeded */
function run(command, args, options) {
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options }).status === 0;
}

/** Makes an installation of a null client. @returns whether that worked */
function install(prefix) {
  const names = ['--me', 'host.example', '--idhost', 'host.example'];
  const args = ['install', '--role', 'client', '--prefix', prefix, '--node', NODE, ...names];
  // The plan is of interest to nobody; what goes wrong is.
  return run(join(ROOT, 'bin/mini-qmail'), args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

// A test that waits for what never comes fails after this, and its file's other tests go on.
const timeoutMs = Number(process.env.MINI_QMAIL_TEST_MINUTES ?? 4) * 60_000;
const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-test-'));
const prefix = join(folder, 'prefix');
const env = { ...process.env, MINI_QMAIL_BIN: join(prefix, 'bin') };
const isGreen =
  run(process.execPath, ['scripts/build.mjs']) &&
  install(prefix) &&
  run(NODE, ['--test', '--test-concurrency=3', `--test-timeout=${timeoutMs}`, ...patterns(wanted)], { env });
rmSync(folder, { recursive: true });
process.exit(isGreen ? 0 : 1);
