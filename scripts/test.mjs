// Runs the tests: builds, then hands every *.test.ts to the interpreter that came with `npm ci`.
// `node scripts/test.mjs src/core` runs those below a folder or in a file.

import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = process.argv.slice(2);

/** Folder or file below the root to glob patterns of test files. */
function patterns(paths) {
  if (paths.length === 0) return ['src/**/*.test.ts', 'test/**/*.test.ts'];
  return paths.map((path) => (path.endsWith('.ts') ? path : `${path.replace(/\/$/, '')}/**/*.test.ts`));
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

run(process.execPath, ['scripts/build.mjs']);
run(join(ROOT, 'node_modules/node/bin/node'), ['--test', '--test-concurrency=3', ...patterns(wanted)]);
