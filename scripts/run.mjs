// Runs a program of bin/ with the arguments given and this terminal: `node scripts/run.mjs mini-qmail start`.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const [name, ...args] = process.argv.slice(2);
const child = spawn(join(ROOT, 'bin', name), args, { stdio: 'inherit' });
// The terminal sends Ctrl-C to the whole group; this process only has to outlive its child.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
