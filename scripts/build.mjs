// Builds dist/ (one bundled file per program) and bin/ (a launcher per program). Runs on Node 20 as well: npm runs it
// as `prepare` with whatever node it has, while the launchers name the interpreter that came with `npm ci`.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { asExpression, hasCodeCache, makeCodeCaches, startFile } from './code-cache.mjs';
import { launcher } from './launcher.mjs';
import { HUB_PROGRAMS, LINKS, PROGRAMS, WORKERS } from './programs.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
const BIN = join(ROOT, 'bin');
// What is not part of this build may be part of another that runs now, or of a program that starts now.
const STALE_AFTER_MS = 600_000;

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

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node24',
  legalComments: 'none',
  sourcemap: 'external',
  logLevel: 'warning',
  outdir: 'dist',
  write: false,
};

/** All bundles with their source maps, as esbuild's output files. */
async function bundleAll() {
  const source = (name) => [name, `src/program/${name}.ts`];
  const present = ([, path]) => existsSync(join(ROOT, path));
  const short = await build({
    ...COMMON,
    entryPoints: Object.fromEntries(PROGRAMS.map(source).filter(present)),
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    // A script with a code cache cannot import(), but it can require, to the same effect.
    supported: { 'dynamic-import': false },
  });
  const long = await build({
    ...COMMON,
    entryPoints: Object.fromEntries(
      [...HUB_PROGRAMS.map(source), ...Object.entries(WORKERS)].filter(present),
    ),
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    // Packages in CommonJS form call require; an ES module has to make it first.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  });
  return [...short.outputFiles, ...long.outputFiles];
}

/** Calls `make` with a temporary name and gives its result the real one, in one step. */
function replace(path, make) {
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  make(temporary);
  renameSync(temporary, path);
  return path;
}

function writeWhole(path, content, mode = 0o644) {
  return replace(path, (temporary) => writeFileSync(temporary, content, { mode }));
}

/** Writes dist/; returns the paths, and what {@link makeCodeCaches} needs for the programs that get a code cache. */
function writeBundles(outputs) {
  mkdirSync(DIST, { recursive: true });
  const written = [];
  const cached = [];
  const isCached = (path) => path.endsWith('.cjs') && hasCodeCache(basename(path, '.cjs'));
  for (const { path, contents } of outputs) {
    if (isCached(path)) {
      const name = basename(path, '.cjs');
      const { bundle, cache } = writeCachedBundle(name, contents);
      const map = outputs.find((output) => output.path === `${path}.map`);
      cached.push({ name, launcher: join(BIN, name), bundle, cache });
      written.push(path, bundle, cache, writeWhole(`${bundle}.map`, map.contents));
    } else if (!isCached(path.replace(/\.map$/, ''))) written.push(writeWhole(path, contents));
  }
  return { written, cached };
}

/** Writes a bundle and the file that starts it; returns the bundle's path and the one for its cache. */
function writeCachedBundle(name, module) {
  const contents = asExpression(module);
  // It is read as Latin-1, the quickest way. esbuild escapes everything else.
  if (contents.some((byte) => byte > 127)) throw new Error(`Bundle of ${name} is not ASCII`);
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, 16);
  const names = { bundle: `${name}.${hash}.cjs`, cache: `${name}.${hash}.cache` };
  const bundle = writeWhole(join(DIST, names.bundle), contents);
  writeWhole(join(DIST, `${name}.cjs`), startFile(names));
  return { bundle, cache: join(DIST, names.cache) };
}

/** Writes bin/; returns the paths. */
function writeLaunchers(interpreter) {
  mkdirSync(BIN, { recursive: true });
  const written = [];
  for (const [names, extension] of [
    [PROGRAMS, 'cjs'],
    [HUB_PROGRAMS, 'mjs'],
  ]) {
    for (const name of names) {
      const bundle = join(DIST, `${name}.${extension}`);
      const path = join(BIN, name);
      if (existsSync(bundle)) written.push(writeWhole(path, launcher(interpreter, bundle), 0o755));
    }
  }
  for (const [name, program] of Object.entries(LINKS)) {
    written.push(replace(join(BIN, name), (temporary) => symlinkSync(program, temporary)));
  }
  return written;
}

/** Removes from a folder what no build of the last minutes has written. */
function removeStale(folder, written) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (written.includes(path)) continue;
    const writtenMs = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - writtenMs > STALE_AFTER_MS) rmSync(path, { recursive: true, force: true });
  }
}

const interpreter = findInterpreter();
const { written, cached } = writeBundles(await bundleAll());
written.push(...writeLaunchers(interpreter));
await makeCodeCaches(interpreter, cached);
for (const folder of [DIST, BIN]) removeStale(folder, written);
