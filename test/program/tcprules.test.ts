// tcprules and tcprulescheck as processes, against what the originals did (test/vectors/tcprules.json, tcprulescheck.json),
// and cases of our own, qmail-newmrh among them, for what no vector shows.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openCdbFile } from '../../src/host/cdb-file.ts';
import { SystemError } from '../../src/host/system-error.ts';
import { ROOT } from '../support/client-vectors.ts';
import { compileRules } from '../support/compile-rules.ts';

interface Run {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RulesCase {
  readonly name: string;
  readonly args: readonly string[];
  readonly stdin: string;
  readonly before: { readonly files?: { readonly [name: string]: string }; readonly mkdir?: string };
  readonly expect: Run & { readonly files_base64: { readonly [name: string]: string } };
}

interface CheckCase {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
  readonly cdb_base64: string | null;
  readonly expect: Run;
}

function readCases<T>(name: string): T[] {
  return JSON.parse(readFileSync(join(ROOT, 'test/vectors', `${name}.json`), 'utf8'));
}

/** Runs one of our programs; the strings have one character per byte, and so have variables, through a shell. */
async function run(
  program: string,
  options: {
    args?: readonly string[];
    env?: { readonly [name: string]: string };
    cwd: string;
    stdin?: string | number;
  },
): Promise<Run> {
  const { args = [], env = {}, cwd, stdin = '' } = options;
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const exports = Object.entries(env).map(([name, value]) => `${name}=${quote(value)} `);
  const script = `${exports.join('')}exec ${[join(ROOT, 'bin', program), ...args].map(quote).join(' ')}`;
  const path = join(cwd, '..', `run.${Math.random()}`);
  writeFileSync(path, script, 'latin1');
  const child = spawn('/bin/sh', [path], {
    cwd,
    env: { PATH: '/usr/bin:/bin' },
    stdio: [typeof stdin === 'number' ? stdin : 'pipe', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('latin1').on('data', (text: string) => {
      output[name] += text;
    });
  }
  child.stdin?.on('error', () => {});
  if (typeof stdin === 'string') child.stdin?.end(stdin, 'latin1');
  const exit = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { exit, ...output };
}

let top: string;
let folders = 0;

/** An empty working folder. */
function newFolder(): string {
  const folder = join(top, `${folders++}`, 'cwd');
  mkdirSync(folder, { recursive: true });
  return folder;
}

before(() => {
  top = mkdtempSync(join(tmpdir(), 'tcprules-'));
});
after(() => rmSync(top, { recursive: true }));

describe('tcprules does what the original does', { concurrency: 2 }, () => {
  for (const { name, args, stdin, before: given, expect } of readCases<RulesCase>('tcprules')) {
    it(name, async () => {
      const cwd = newFolder();
      for (const [file, content] of Object.entries(given.files ?? {}))
        writeFileSync(join(cwd, file), content, 'latin1');
      if (given.mkdir !== undefined) mkdirSync(join(cwd, given.mkdir));
      const { files_base64, ...wanted } = expect;
      assert.deepEqual(await run('tcprules', { args, cwd, stdin }), wanted);
      const files = readdirSync(cwd).filter((file) => statSync(join(cwd, file)).isFile());
      const contents = files.map((file) => [file, readFileSync(join(cwd, file), 'base64')]);
      assert.deepEqual(Object.fromEntries(contents), files_base64);
    });
  }
});

describe('tcprulescheck does what the original does', { concurrency: 2 }, () => {
  for (const { name, args, env, cdb_base64, expect } of readCases<CheckCase>('tcprulescheck')) {
    it(name, async () => {
      const cwd = newFolder();
      if (cdb_base64 !== null && args[0] !== undefined)
        writeFileSync(join(cwd, args[0]), cdb_base64, 'base64');
      assert.deepEqual(await run('tcprulescheck', { args, env, cwd }), expect);
    });
  }
});

describe('tcprules', () => {
  it('makes a file that all may read, but for the umask', async () => {
    const cwd = newFolder();
    const mask = process.umask(0o027);
    try {
      await run('tcprules', { args: ['a.cdb', 'a.tmp'], cwd });
    } finally {
      process.umask(mask);
    }
    assert.equal(statSync(join(cwd, 'a.cdb')).mode & 0o777, 0o640);
  });

  it('leaves the old rules alone when the new ones cannot be written, or not be read', async () => {
    const cwd = newFolder();
    writeFileSync(join(cwd, 'a.cdb'), 'old');
    const folder = openSync(cwd, 'r');
    assert.deepEqual(await run('tcprules', { args: ['a.cdb', 'a.tmp'], cwd, stdin: folder }), {
      exit: 111,
      stdout: '',
      stderr: 'tcprules: fatal: unable to read input: is a directory\n',
    });
    assert.deepEqual(await run('tcprules', { args: ['a.cdb', '/dev/full'], cwd, stdin: ':deny\n' }), {
      exit: 111,
      stdout: '',
      stderr: 'tcprules: fatal: unable to write to /dev/full: out of disk space\n',
    });
    assert.equal(readFileSync(join(cwd, 'a.cdb'), 'utf8'), 'old');
  });

  it('puts a new file in the place of the old one, which who has it open goes on reading', async () => {
    const cwd = newFolder();
    const args = ['a.cdb', 'a.tmp'];
    const [key, path] = [Buffer.from(''), join(cwd, 'a.cdb')];
    await run('tcprules', { args, cwd, stdin: ':deny' });
    const old = openCdbFile(path);
    assert.equal((await run('tcprules', { args, cwd, stdin: ':allow' })).exit, 0);
    const present = openCdbFile(path);
    assert.deepEqual([old.find(key)?.length, present.find(key)?.length], [2, 0]);
    for (const cdb of [old, present]) cdb.close();
    assert.deepEqual(readdirSync(cwd), ['a.cdb']);
  });

  it('writes more than its buffers hold, as the format demands', async () => {
    const cwd = newFolder();
    const line = (i: number) => `10.${i >> 8}.${i & 255}.0-255:allow,A="${'x'.repeat(i % 50)}"\n`;
    const rules = Array.from({ length: 200 }, (_, i) => line(i)).join('');
    assert.equal((await run('tcprules', { args: ['a.cdb', 'a.tmp'], cwd, stdin: rules })).exit, 0);
    const compiled = compileRules(rules);
    assert.ok('cdb' in compiled && readFileSync(join(cwd, 'a.cdb')).equals(compiled.cdb));
  });

  it('compiles networks, IPv6 addresses and certificates for tcprulescheck', async () => {
    const cwd = newFolder();
    const stdin =
      '10.1.0.0/23:allow,A="4"\n[2001:db8::]/45:allow,A="6"\n[cert:x.example]:allow,A="c"\n:deny\n';
    assert.equal((await run('tcprules', { args: ['a.cdb', 'a.tmp'], cwd, stdin })).exit, 0);
    const rows: [{ [name: string]: string }, string][] = [
      [{ TCPREMOTEIP: '10.1.1.255' }, 'rule 10.1.1.:\nset environment variable A=4\nallow connection\n'],
      [{ TCPREMOTEIP: '10.1.2.0' }, 'rule :\ndeny connection\n'],
      [
        { TCPREMOTEIP: '2001:db8:7::1' },
        'rule ip6:20010db80007:\nset environment variable A=6\nallow connection\n',
      ],
      [{ TCPREMOTEIP: '2001:db8:8::1' }, 'rule :\ndeny connection\n'],
      [
        { TCPREMOTECERT: 'x.example' },
        'rule [cert:x.example]:\nset environment variable A=c\nallow connection\n',
      ],
      [{ TCPREMOTECERT: 'y.example' }, 'rule :\ndeny connection\n'],
    ];
    for (const [env, stdout] of rows) {
      assert.deepEqual(await run('tcprulescheck', { args: ['a.cdb'], env, cwd }), {
        exit: 0,
        stdout,
        stderr: '',
      });
    }
  });
});

describe('tcprulescheck', () => {
  it('says what is wrong with a file that is no database', async () => {
    const cwd = newFolder();
    mkdirSync(join(cwd, 'dir'));
    writeFileSync(join(cwd, 'empty'), '');
    for (const [name, why] of [
      ['dir', 'is a directory'],
      ['empty', 'protocol error'],
    ]) {
      const stderr = `tcprulescheck: fatal: unable to read ${name}: ${why}\n`;
      assert.deepEqual(await run('tcprulescheck', { args: [name!], cwd }), { exit: 111, stdout: '', stderr });
    }
  });

  it('does not take memory for a length that the file does not have', () => {
    const path = join(newFolder(), 'a.cdb');
    const compiled = compileRules('1.2.3.4:deny');
    assert.ok('cdb' in compiled);
    // The length of the data: 4 GB.
    writeFileSync(path, compiled.cdb.fill(255, 2052, 2056));
    const cdb = openCdbFile(path);
    assert.throws(() => cdb.find(Buffer.from('1.2.3.4')), SystemError);
    assert.equal(cdb.find(Buffer.from('1.2.3.5')), undefined);
    cdb.close();
  });
});

describe('qmail-newmrh', () => {
  it('compiles the domains of morercpthosts in lower case', async () => {
    const cwd = newFolder();
    mkdirSync(join(cwd, 'control'));
    writeFileSync(join(cwd, 'control/morercpthosts'), 'A.Example\t \n\n \n# c\n.B.example\nlast\r');
    const env = { QMAILHOME: cwd };
    assert.deepEqual(await run('qmail-newmrh', { env, cwd }), { exit: 0, stdout: '', stderr: '' });
    const cdb = openCdbFile(join(cwd, 'control/morercpthosts.cdb'));
    const found = ['a.example', '.b.example', 'last\r', 'A.Example', '# c', ''].map(
      (key) => cdb.find(Buffer.from(key))?.length,
    );
    cdb.close();
    assert.deepEqual(found, [0, 0, 0, undefined, undefined, undefined]);
    assert.deepEqual(readdirSync(join(cwd, 'control')).sort(), ['morercpthosts', 'morercpthosts.cdb']);
    assert.equal(statSync(join(cwd, 'control/morercpthosts.cdb')).mode & 0o777, 0o644);
  });

  it('says what it cannot do and leaves the old list alone', async () => {
    const cwd = newFolder();
    const missing = await run('qmail-newmrh', { env: { QMAILHOME: join(cwd, 'none') }, cwd });
    assert.equal(
      missing.stderr,
      `qmail-newmrh: fatal: unable to chdir to ${cwd}/none: file does not exist\n`,
    );
    mkdirSync(join(cwd, 'control'));
    writeFileSync(join(cwd, 'control/morercpthosts.cdb'), 'old');
    const unread = await run('qmail-newmrh', { env: { QMAILHOME: cwd }, cwd });
    const stderr = 'qmail-newmrh: fatal: unable to read control/morercpthosts: file does not exist\n';
    assert.deepEqual(unread, { exit: 111, stdout: '', stderr });
    assert.equal(readFileSync(join(cwd, 'control/morercpthosts.cdb'), 'utf8'), 'old');
  });
});
