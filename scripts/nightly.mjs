// What takes too long for every change: the same tests with many more inputs, look-ups and kills. `node scripts/nightly.mjs
// [NAME…]` runs the parts with these names, or all; a variable that is already set keeps its value.

import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Name, tests, and how much of them: variables that the tests read. */
const PARTS = [
  { name: 'fuzz', tests: ['test/fuzz'], env: { MINI_QMAIL_FUZZ: '1000000' } },
  { name: 'lookups', tests: ['test/interop/tcprules.test.ts'], env: { MINI_QMAIL_LOOKUPS: '100000' } },
  { name: 'gateway', tests: ['test/hub/gateway.test.ts'], env: { MINI_QMAIL_GATEWAY_MESSAGES: '5000' } },
  { name: 'kills', tests: ['test/crash/kill-hub.test.ts'], env: { MINI_QMAIL_KILLS: '1000' } },
  { name: 'smtp kills', tests: ['test/crash/kill-hub-smtp.test.ts'], env: { MINI_QMAIL_KILLS: '200' } },
  { name: 'flush kills', tests: ['test/crash/kill-flush.test.ts'], env: { MINI_QMAIL_KILLS: '150' } },
  { name: 'purge', tests: ['test/hub/fault-purge.test.ts'], env: { MINI_QMAIL_PURGE: '100000' } },
  { name: 'spills', tests: ['test/crash/kill-queue.test.ts'], env: { MINI_QMAIL_KILLS: '100' } },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`nightly: no part "${unknown[0]}"; there are: ${PARTS.map(({ name }) => name).join(' ')}`);
  process.exit(100);
}
const failed = [];
for (const { name, tests, env } of PARTS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  // A seed of its own for each night, which an error names.
  const MINI_QMAIL_SEED = String(Math.floor(Date.now() / 86_400_000) * 1_000_000);
  const all = { MINI_QMAIL_SEED, MINI_QMAIL_TEST_MINUTES: '180', ...env, ...process.env };
  const shown = ['MINI_QMAIL_SEED', ...Object.keys(env)].map((variable) => `${variable}=${all[variable]}`);
  console.log(`nightly: ${name} ${shown.join(' ')}`);
  const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts/test.mjs'), ...tests], {
    cwd: ROOT,
    stdio: 'inherit',
    env: all,
  });
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) console.error(`nightly: failed: ${failed.join(' ')}`);
process.exit(failed.length > 0 ? 1 : 0);
