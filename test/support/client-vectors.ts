// Runs the golden vectors of the null-client programs (qmail-inject, sendmail, qmail-qmqpc): sets up a qmail home with
// bin/ and control/, a working directory and recorders, runs the built program as a process and compares what it did.
// The three steps prepareCase, runCase and compareCase can be used apart, for cases that need servers in between.

import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROGRAMS } from '../../scripts/programs.mjs';
import {
  expandBytes,
  matchesBytes,
  type Placeholders,
  timePlaceholders,
  type VectorBytes,
} from './vector-bytes.ts';
import { compareVectorFiles, type ExpectedFile, type FileContent, writeVectorFiles } from './vector-files.ts';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** The programs under test: those of an installation that `npm test` makes, or those of the checkout. */
const BIN = process.env['MINI_QMAIL_BIN'] ?? join(ROOT, 'bin');

/** Path of a program under test; one that the installation has not is the checkout's. */
export function programUnderTest(name: string): string {
  const path = join(BIN, name);
  return existsSync(path) ? path : join(ROOT, 'bin', name);
}

/** Our programs a home gets beside the queue program, whether or not the case uses them. */
const INSTALLED = PROGRAMS;

/** What a run must have done. */
export interface ClientExpectation {
  readonly exit: number | { readonly signal: number } | 'killed';
  readonly stdout: VectorBytes;
  readonly stderr: VectorBytes;
  readonly queue_run?: number;
  readonly fd0?: VectorBytes | null;
  readonly fd1?: VectorBytes | null;
  /** The working directory afterwards: all that is in it. */
  readonly files?: { readonly [name: string]: ExpectedFile };
  readonly queue_argv?: readonly VectorBytes[];
  readonly queue_cwd?: VectorBytes;
  readonly exec?: {
    readonly argv: readonly VectorBytes[];
    readonly env: { readonly [name: string]: VectorBytes };
    readonly cwd: VectorBytes;
    readonly stdin: VectorBytes;
  } | null;
}

/** One case of a client vector file. */
export interface ClientCase {
  readonly id: string;
  readonly title: string;
  readonly program: string;
  readonly args?: readonly VectorBytes[];
  readonly env: { readonly [name: string]: VectorBytes };
  readonly control?: { readonly [name: string]: FileContent } | null;
  readonly files?: { readonly [name: string]: FileContent };
  readonly bin?: { readonly [name: string]: string | null };
  readonly stdin?: VectorBytes;
  readonly stdin_closed?: boolean;
  readonly stdin_dir?: boolean;
  readonly stdin_seekable?: boolean;
  readonly fd1_in?: VectorBytes;
  readonly close_fd?: readonly number[];
  readonly queue?: {
    readonly exit?: number;
    readonly signal?: number;
    readonly mode?: 'noread';
    readonly fd6?: VectorBytes;
  };
  readonly invoke_as?: string;
  readonly home_missing?: boolean;
  /** Octal; 022 otherwise. */
  readonly umask?: string;
  readonly expect: ClientExpectation;
}

/** How HOME/bin holds our programs: as links, as in an installation, or as scripts that run them (foreign files). */
export type Installation = 'links' | 'scripts';

/** A case with its folders made. */
export interface PreparedCase {
  readonly case: ClientCase;
  readonly folder: string;
  readonly home: string;
  readonly cwd: string;
  readonly placeholders: Placeholders;
  /** The program to run, as called. */
  readonly path: string;
}

/** What a run did. */
export interface ClientRun {
  readonly exit: number | { readonly signal: string };
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly pid: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** The cases of test/vectors/NAME.json. */
export function readClientCases(name: string): ClientCase[] {
  return JSON.parse(readFileSync(join(ROOT, 'test/vectors', `${name}.json`), 'utf8')).cases;
}

/** Makes the folders of a case below a new temporary folder; the caller removes `folder`. */
export function prepareCase(vector: ClientCase, installation: Installation = 'links'): PreparedCase {
  const folder = mkdtempSync(join(tmpdir(), 'client-vector-'));
  const home = join(folder, 'home');
  const cwd = join(folder, 'cwd');
  const recorder = join(folder, 'recorder');
  const placeholders = { HOME: home, CWD: cwd, RECORDER: recorder };
  mkdirSync(cwd);
  mkdirSync(join(folder, 'records'));
  writeRecorders(vector, folder, placeholders);
  writeVectorFiles(cwd, vector.files ?? {}, placeholders);
  let path = join(home, 'bin', vector.program);
  if (vector.home_missing === true) {
    path = programUnderTest(vector.program);
  } else {
    mkdirSync(join(home, 'bin'), { recursive: true });
    writeBin(vector, folder, home, installation);
    if (vector.control !== null) {
      mkdirSync(join(home, 'control'));
      writeVectorFiles(join(home, 'control'), vector.control ?? {}, placeholders);
    }
  }
  if (vector.invoke_as !== undefined) {
    const link = join(folder, vector.invoke_as);
    symlinkSync(path, link);
    path = link;
  }
  return { case: vector, folder, home, cwd, placeholders, path };
}

function writeBin(vector: ClientCase, folder: string, home: string, installation: Installation): void {
  const plan: { [name: string]: string | null } = { 'qmail-queue': 'recorder', ...vector.bin };
  for (const name of INSTALLED) {
    if (name in plan) continue;
    const target = programUnderTest(name);
    // The program under test itself always is a link, so that it is called by the path of the home.
    if (installation === 'links' || name === vector.program) symlinkSync(target, join(home, 'bin', name));
    else writeScript(join(home, 'bin', name), `exec ${shellQuote(target)} "$@"`);
  }
  for (const [name, what] of Object.entries(plan)) {
    const path = join(home, 'bin', name);
    if (what === 'recorder') {
      symlinkSync(join(folder, name === 'qmail-queue' ? 'recorder' : 'exec-recorder'), path);
    } else if (what?.startsWith('->')) {
      const target = what.substring(2);
      if (installation === 'links') symlinkSync(target, path);
      else writeScript(path, `exec ${shellQuote(programUnderTest(target))} "$@"`);
    }
  }
}

/**
 * Recorders are scripts that keep what they get in FOLDER/records. The environment of the case is not theirs to
 * change, so what they do is written into them.
 */
function writeRecorders(vector: ClientCase, folder: string, table: Placeholders): void {
  const { exit = 0, signal, mode, fd6 } = vector.queue ?? {};
  const start = [
    `PATH=/usr/local/bin:/usr/bin:/bin; cd_now=$(pwd -P); R=${shellQuote(join(folder, 'records'))}`,
    'echo $$ >>"$R/pids"; cat /proc/$$/cmdline >"$R/argv"; cat /proc/$$/environ >"$R/env"',
    'printf %s "$cd_now" >"$R/cwd"',
  ];
  const end = signal === undefined ? `exit ${exit}` : `kill -${signal} $$`;
  if (fd6 !== undefined) writeFileSync(join(folder, 'fd6'), expandBytes(fd6, table));
  const custom = fd6 === undefined ? '' : `(cat ${shellQuote(join(folder, 'fd6'))} >&6) 2>/dev/null`;
  const read = mode === 'noread' ? '' : 'cat >"$R/fd0"; cat <&1 >"$R/fd1"';
  writeScript(join(folder, 'recorder'), [...start, custom, read, end].join('\n'));
  writeScript(join(folder, 'exec-recorder'), [...start, 'cat >"$R/stdin"', end].join('\n'));
}

function writeScript(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755, encoding: 'latin1' });
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Runs the program of a case to its end. Arguments and environment go through env(1) in a script, because
 * Node can hand over neither bytes that are not UTF-8 nor closed descriptors.
 */
export function runCase(prepared: PreparedCase): Promise<ClientRun> {
  const vector = prepared.case;
  const bytes = (value: VectorBytes) => expandBytes(value, prepared.placeholders).toString('latin1');
  const env = Object.entries(vector.env).map(([name, value]) => `${name}=${bytes(value)}`);
  env.push(`QMAILHOME=${prepared.home}`);
  const words = ['-i', ...env, prepared.path, ...(vector.args ?? []).map(bytes)];
  const closed = [...(vector.close_fd ?? []), ...(vector.stdin_closed === true ? [0] : [])];
  const redirections = closed.map((descriptor) => `${descriptor}>&-`);
  const script = join(prepared.folder, 'run');
  const command = ['exec /usr/bin/env', ...words.map(shellQuote), ...redirections].join(' ');
  writeFileSync(script, `umask ${vector.umask ?? '022'}\n${command}`, 'latin1');

  const startSeconds = Math.floor(Date.now() / 1000);
  const input = openInput(prepared);
  const child = spawn('/bin/sh', [script], { cwd: prepared.cwd, stdio: [input, 'pipe', 'pipe'] });
  if (input !== 'pipe') closeSync(input);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  if (child.stdin !== null) {
    child.stdin.on('error', ignoreBrokenPipe);
    child.stdin.end(expandBytes(vector.stdin ?? '', prepared.placeholders));
  }
  if (vector.fd1_in !== undefined && child.stdout !== null) {
    // Node makes the pipe a socket pair, so what the child has as descriptor 1 can be written to from here.
    const envelope = child.stdout as unknown as NodeJS.WritableStream;
    envelope.on('error', ignoreBrokenPipe);
    envelope.end(expandBytes(vector.fd1_in, prepared.placeholders));
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({
        exit: signal === null ? (code ?? -1) : { signal },
        stdout: Buffer.concat(out),
        stderr: Buffer.concat(err),
        pid: child.pid ?? 0,
        startSeconds,
        endSeconds: Math.floor(Date.now() / 1000),
      }),
    );
  });
}

function openInput(prepared: PreparedCase): 'pipe' | number {
  const vector = prepared.case;
  if (vector.stdin_dir === true) return openSync(prepared.cwd, 'r');
  if (vector.stdin_seekable !== true) return 'pipe';
  const path = join(prepared.folder, 'stdin');
  writeFileSync(path, expandBytes(vector.stdin ?? '', prepared.placeholders));
  return openSync(path, 'r');
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
}

/** What a recorder kept under that name, or undefined if it did not. */
export function readRecord(prepared: PreparedCase, name: string): Buffer | undefined {
  const path = join(prepared.folder, 'records', name);
  return existsSync(path) ? readFileSync(path) : undefined;
}

/** Placeholders of a run for each moment that the program can have taken as the time of its start. */
export function momentsOf(prepared: PreparedCase, run: ClientRun): Placeholders[] {
  const queuePid = readRecord(prepared, 'pids')?.toString().trim() ?? '';
  const moments: Placeholders[] = [];
  for (let seconds = run.startSeconds; seconds <= run.endSeconds; seconds++) {
    const fixed = { ...prepared.placeholders, PID: String(run.pid), QP: queuePid };
    // A program that writes a local date may have done so before the one that it started looked at the clock.
    for (let local = run.startSeconds; local <= seconds; local++) {
      moments.push({ ...fixed, ...timePlaceholders(seconds), LOCALUNIX: String(local) });
    }
  }
  return moments;
}

/** Differences between a run and what was expected, in words; none if it did all that. */
export function compareCase(prepared: PreparedCase, run: ClientRun, expect = prepared.case.expect): string[] {
  let differences: string[] = [];
  for (const moment of momentsOf(prepared, run)) {
    differences = compareAt(prepared, run, expect, moment);
    if (differences.length === 0) break;
  }
  return differences;
}

function compareAt(
  prepared: PreparedCase,
  run: ClientRun,
  expect: ClientExpectation,
  now: Placeholders,
): string[] {
  const differences: string[] = [];
  const check = (what: string, actual: Buffer | undefined, wanted: VectorBytes | null | undefined) => {
    if (wanted === undefined) return;
    if (
      wanted === null
        ? actual === undefined || actual.length === 0
        : actual && matchesBytes(actual, wanted, now)
    )
      return;
    const show =
      wanted === null || (typeof wanted === 'object' && 'sha256' in wanted)
        ? JSON.stringify(wanted)
        : quote(expandBytes(wanted, now));
    differences.push(`${what}\n    is     ${actual ? quote(actual) : 'missing'}\n    wanted ${show}`);
  };
  const note = (what: string, actual: unknown, wanted: unknown) => {
    const [is, want] = [JSON.stringify(actual), JSON.stringify(wanted)];
    if (is !== want) differences.push(`${what}\n    is     ${is}\n    wanted ${want}`);
  };
  note('exit', run.exit, expect.exit);
  check('stderr', run.stderr, expect.stderr);
  check('stdout', run.stdout, expect.stdout);
  if (expect.files !== undefined) differences.push(...compareVectorFiles(prepared.cwd, expect.files, now));
  const runs = (readRecord(prepared, 'pids')?.toString().match(/\n/g) ?? []).length;
  if (expect.queue_run !== undefined) note('queue_run', runs, expect.queue_run);
  if (expect.exec === undefined) {
    check('fd0', readRecord(prepared, 'fd0'), expect.fd0);
    check('fd1', readRecord(prepared, 'fd1'), expect.fd1);
    check('queue_cwd', readRecord(prepared, 'cwd'), expect.queue_cwd);
    if (expect.queue_argv)
      note(
        'queue_argv',
        recordedWords(prepared, 'argv').slice(1),
        expect.queue_argv.map((w) => expandBytes(w, now).toString('latin1')),
      );
  } else if (expect.exec === null) {
    note('programs run', runs, 0);
  } else {
    // The kernel puts the interpreter before a script's own words.
    note(
      'argv',
      recordedWords(prepared, 'argv').slice(1),
      expect.exec.argv.map((w) => expandBytes(w, now).toString('latin1')),
    );
    note(
      'env',
      recordedWords(prepared, 'env')
        .filter((w) => !w.startsWith('QMAILHOME='))
        .sort(),
      Object.entries(expect.exec.env)
        .map(([n, v]) => `${n}=${expandBytes(v, now).toString('latin1')}`)
        .sort(),
    );
    check('cwd', readRecord(prepared, 'cwd'), expect.exec.cwd);
    check('stdin', readRecord(prepared, 'stdin'), expect.exec.stdin);
  }
  return differences;
}

function recordedWords(prepared: PreparedCase, name: string): string[] {
  const words = readRecord(prepared, name)?.toString('latin1').split('\0') ?? [];
  return words.slice(0, -1);
}

function quote(bytes: Buffer): string {
  const text = JSON.stringify(bytes.toString('latin1'));
  return text.length > 1200 ? `${text.substring(0, 1200)}… (${bytes.length} bytes)` : text;
}

/** Prepares, runs and compares a case. @throws Error with all differences */
export async function checkCase(vector: ClientCase, installation: Installation = 'links'): Promise<void> {
  const prepared = prepareCase(vector, installation);
  try {
    const differences = compareCase(prepared, await runCase(prepared));
    if (differences.length > 0) throw new Error(`${vector.id}\n  ${differences.join('\n  ')}`);
  } finally {
    rmSync(prepared.folder, { recursive: true, force: true });
  }
}
