// Builds dist/ (one bundled file per program) and bin/ (a launcher per program). Runs on Node 20 as well: npm runs it
// as `prepare` with whatever node it has, while the launchers name the interpreter that came with `npm ci`.

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { HUB_PROGRAMS, LINKS, PROGRAMS, WORKERS } from './programs.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
// Linux reads at most 255 bytes of an interpreter line; older kernels and other systems 127.
const INTERPRETER_LINE_MAX = 127;

/** Absolute path of the interpreter that the launchers run. */
function findInterpreter() {
  const own = join(ROOT, 'node_modules/node/bin/node');
  if (!isExecutable(own)) installInterpreter();
  if (isExecutable(own)) return realpathSync(own);
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= 24) return process.execPath;
  throw new Error(
    `No interpreter: ${own} is missing and this Node is ${process.versions.node}, 24 or later is needed`,
  );
}

/** Does what the package's install script does, for an npm that was told to run no install scripts. */
function installInterpreter() {
  const folder = join(ROOT, 'node_modules/node');
  if (existsSync(join(folder, 'installArchSpecificPackage.js'))) {
    spawnSync(process.execPath, ['installArchSpecificPackage.js'], { cwd: folder, stdio: 'inherit' });
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A launcher: runs INTERPRETER BUNDLE PATH-AS-CALLED ARGUMENTS… */
function launcher(interpreter, bundle) {
  const line = `#!${interpreter} ${bundle}`;
  if (line.length <= INTERPRETER_LINE_MAX && !/\s/.test(interpreter + bundle)) return `${line}\n`;
  return `#!/bin/sh\nexec ${shellQuote(interpreter)} ${shellQuote(bundle)} "$0" "$@"\n`;
}

function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node24',
  sourcemap: 'external',
  legalComments: 'none',
  logLevel: 'warning',
};

async function bundleAll() {
  const source = (name) => [name, `src/program/${name}.ts`];
  const present = ([, path]) => existsSync(join(ROOT, path));
  await build({
    ...COMMON,
    entryPoints: Object.fromEntries(PROGRAMS.map(source).filter(present)),
    outdir: 'dist',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
  });
  await build({
    ...COMMON,
    entryPoints: Object.fromEntries(
      [...HUB_PROGRAMS.map(source), ...Object.entries(WORKERS)].filter(present),
    ),
    outdir: 'dist',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    // Packages in CommonJS form call require; an ES module has to make it first.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  });
}

function writeLaunchers(interpreter) {
  const bin = join(ROOT, 'bin');
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin);
  for (const [names, extension] of [
    [PROGRAMS, 'cjs'],
    [HUB_PROGRAMS, 'mjs'],
  ]) {
    for (const name of names) {
      const bundle = join(ROOT, 'dist', `${name}.${extension}`);
      if (existsSync(bundle)) writeFileSync(join(bin, name), launcher(interpreter, bundle), { mode: 0o755 });
    }
  }
  for (const [name, program] of Object.entries(LINKS)) symlinkSync(program, join(bin, name));
}

rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
await bundleAll();
writeLaunchers(findInterpreter());
