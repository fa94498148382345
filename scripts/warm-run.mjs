// Runs a bundle as its start file would, and keeps what V8 has compiled by its end.
// node warm-run.mjs BUNDLE CACHE PATH-AS-CALLED ARGUMENTS…

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

const [bundle, cache] = process.argv.splice(2, 2);
const script = new Script(readFileSync(bundle, 'latin1'), { filename: bundle });
process.on('exit', (code) => {
  if (code !== 0) return;
  const data = script.createCachedData();
  const temporary = `${cache}.${process.pid}.tmp`;
  writeFileSync(temporary, Buffer.concat([data, data]));
  renameSync(temporary, cache);
});
const module = { exports: {} };
const run = script.runInThisContext();
run(module.exports, createRequire(bundle), module, bundle, dirname(bundle));
