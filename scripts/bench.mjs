// Runs the benches, each a question of its own, against whatever peers are installed: `npm run bench [NAME…]`.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE = join(ROOT, 'node_modules/node/bin/node');
// dpkg-query's own placeholder.
const VERSION_FORMAT = `\${Version}`;
const HELPERS = new Set(['measure']);
// Many minutes, gigabytes of disk: only when asked for by name.
const LONG = new Set(['hub-depth', 'soak']);

/** First line that a command prints, or undefined if it cannot be run. */
function firstLine(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0].trim() : undefined;
}

const all = readdirSync(join(ROOT, 'bench'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
  .filter((name) => !HELPERS.has(name));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`bench: no bench "${unknown[0]}"; there are: ${all.join(' ')}`);
  process.exit(100);
}
spawnSync(process.execPath, [join(ROOT, 'scripts/build.mjs')], { stdio: 'inherit' });
console.log(
  `${new Date().toISOString()} ${platform()} ${release()} ${arch()}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
);
console.log(
  `node ${firstLine(NODE, ['--version']) ?? '?'}, Postfix ${firstLine('postconf', ['-dh', 'mail_version']) ?? 'absent'}, tcpserver ${firstLine('dpkg-query', ['-W', '-f', VERSION_FORMAT, 'ucspi-tcp']) ?? 'absent'}\n`,
);
let failed = false;
for (const name of wanted.length > 0 ? wanted : all.filter((one) => !LONG.has(one))) {
  const { status } = spawnSync(NODE, [join(ROOT, 'bench', `${name}.ts`)], { cwd: ROOT, stdio: 'inherit' });
  failed ||= status !== 0;
  console.log('');
}
process.exit(failed ? 1 : 0);
