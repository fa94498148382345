// qmail-newu, qmail-pw2u and qmail-getpw as processes: what they write, print, and say when they cannot.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { buildCdb } from '../../src/core/format/cdb.ts';
import { findInUsersCdb } from '../../src/host/users-cdb.ts';
import { ROOT } from '../support/client-vectors.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'users-'));
  mkdirSync(join(home, 'users'));
});
afterEach(() => rmSync(home, { recursive: true }));

const put = (name: string, content: string) => writeFileSync(join(home, 'users', name), content, 'latin1');
const NUL = '\0';

function run(program: string, args: readonly string[] = [], input = '') {
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'bin', program), args, {
    env: { QMAILHOME: home },
    input: Buffer.from(input, 'latin1'),
    encoding: 'latin1',
  });
  return { status, stdout, stderr };
}

const SILENT = { status: 0, stdout: '', stderr: '' };
const fatal = (program: string, text: string, stdout = '') => ({
  status: 111,
  stdout,
  stderr: `${program}: fatal: ${text}\n`,
});

describe('qmail-newu', () => {
  const JOE = '=Joe:joe:503:78:/home/joe:::\n+Joe-:joe:503:78:/home/joe:-::\n';

  it('writes the constant database that the original writes', () => {
    put('assign', `${JOE}+:alias:7790:2108:/var/qmail/alias:-::\n.\n`);
    assert.deepEqual(run('qmail-newu'), SILENT);
    const records = [
      [`!joe${NUL}`, `joe${NUL}503${NUL}78${NUL}/home/joe${NUL}${NUL}`],
      ['!joe-', `joe${NUL}503${NUL}78${NUL}/home/joe${NUL}-${NUL}`],
      ['!', `alias${NUL}7790${NUL}2108${NUL}/var/qmail/alias${NUL}-${NUL}`],
      ['', '-'],
    ].map(([key, data]) => ({ key: bytesOf(key!), data: bytesOf(data!) }));
    assert.deepEqual(new Uint8Array(readFileSync(join(home, 'users/cdb'))), buildCdb(records));
    assert.equal(statSync(join(home, 'users/cdb')).mode & 0o777, 0o644);
    assert.equal(existsSync(join(home, 'users/cdb.tmp')), false);
  });

  it('leaves the database as it was when the text is no good', () => {
    put('assign', `${JOE}.\n`);
    run('qmail-newu');
    put('assign', JOE);
    assert.deepEqual(run('qmail-newu'), fatal('qmail-newu', 'bad format in users/assign'));
    assert.equal(textOf(findInUsersCdb(home, bytesOf('joe-X'))!.data).endsWith('-\0X'), true);
  });

  it('says what it cannot do', () => {
    assert.deepEqual(run('qmail-newu'), fatal('qmail-newu', 'unable to open users/assign'));
    mkdirSync(join(home, 'users/assign'));
    assert.deepEqual(run('qmail-newu'), fatal('qmail-newu', 'unable to read users/assign'));
    rmSync(join(home, 'users/assign'), { recursive: true });
    put('assign', `${JOE}.\n`);
    mkdirSync(join(home, 'users/cdb.tmp'));
    assert.deepEqual(run('qmail-newu'), fatal('qmail-newu', 'unable to open users/cdb.tmp'));
    rmSync(join(home, 'users/cdb.tmp'), { recursive: true });
    mkdirSync(join(home, 'users/cdb'));
    assert.deepEqual(run('qmail-newu'), fatal('qmail-newu', 'unable to move users/cdb.tmp to users/cdb'));
    rmSync(home, { recursive: true });
    assert.deepEqual(run('qmail-newu'), fatal('qmail-newu', 'unable to chdir'));
    mkdirSync(home);
  });
});

describe('qmail-pw2u', () => {
  const ALIAS = 'alias:x:7790:2108::/var/alias:/bin/true\n';
  const ALIAS_OUT =
    '+:alias:7790:2108:/var/alias:-::\n=alias:alias:7790:2108:/var/alias:::\n+alias-:alias:7790:2108:/var/alias:-::\n';
  const JOE = 'joe:x:503:78:Joe:/home/joe:/bin/sh\n';
  const done = (stdout: string) => ({ ...SILENT, stdout });

  it('gives each account its name and what begins with it and a dash', () => {
    const input = `root:x:0:0::/root:/bin/sh\n${JOE}Big:x:9:9::/:/\nno:x:5:5\nz\0:x:6:6::/:/\n${ALIAS.trimEnd()}`;
    assert.deepEqual(
      run('qmail-pw2u', ['-H'], input),
      done(`=joe:joe:503:78:/home/joe:::\n+joe-:joe:503:78:/home/joe:-::\n${ALIAS_OUT}.\n`),
    );
    assert.match(run('qmail-pw2u', ['-Hu'], input).stdout, /^=Big:Big:9:9:\/:::$/m);
  });

  it('goes by the homes: skips those that are missing or of others, or stops, or does not look', () => {
    const { uid } = userInfo();
    const isRoot = uid === 0;
    const own = `me:x:${uid}:1::${home}:\n`;
    const other = `you:x:${uid + 1}:1::${home}:\n`;
    const missing = `gone:x:${uid + 1}:1::${home}/gone:\n`;
    const inputs = `${own}${other}${missing}`;
    const users = (args: string[]) => {
      const { stdout } = run('qmail-pw2u', args, `${inputs}alias:x:${uid + 2}:1::${home}:\n`);
      return [...stdout.matchAll(/^=(\w+)/gm)].map(([, name]) => name);
    };
    // Without an account of its own for alias it fails, having written nothing yet.
    assert.deepEqual(run('qmail-pw2u', [], inputs), fatal('qmail-pw2u', 'unable to find alias user'));
    assert.deepEqual(users(['-H']), isRoot ? ['you', 'gone', 'alias'] : ['me', 'you', 'gone', 'alias']);
    assert.deepEqual(run('qmail-pw2u', ['-h'], inputs), fatal('qmail-pw2u', `unable to stat ${home}/gone`));
    assert.deepEqual(
      run('qmail-pw2u', [], `x:x:7:7::${home}/users/nofile/x:\n`).stderr,
      'qmail-pw2u: fatal: unable to find alias user\n',
    );
    put('file', '');
    assert.deepEqual(
      run('qmail-pw2u', [], `x:x:7:7::${home}/users/file/x:\n`),
      fatal('qmail-pw2u', `unable to stat ${home}/users/file/x`),
    );
  });

  it('separates names and extensions as its options say', () => {
    const lines = (...args: string[]) =>
      run('qmail-pw2u', ['-H', ...args], JOE + ALIAS)
        .stdout.split('\n')
        .slice(0, 3);
    assert.deepEqual(lines('-c+'), [
      '=joe:joe:503:78:/home/joe:::',
      '+joe+:joe:503:78:/home/joe:-::',
      '+:alias:7790:2108:/var/alias:-::',
    ]);
    assert.deepEqual(lines('-C'), [
      '=joe:joe:503:78:/home/joe:::',
      '+:alias:7790:2108:/var/alias:-::',
      '=alias:alias:7790:2108:/var/alias:::',
    ]);
    assert.deepEqual(lines('-/'), [
      '=joe:joe:503:78:/home/joe:::',
      '+joe-:joe:503:78:/home/joe:-/::',
      '+:alias:7790:2108:/var/alias:-/::',
    ]);
    assert.deepEqual(run('qmail-pw2u', ['-z']), {
      status: 100,
      stdout: '',
      stderr: 'qmail-pw2u: illegal option -- z\n',
    });
  });

  it('goes by users/include, exclude, mailnames, subusers and append', () => {
    put('include', '# who\nJoe \nann\nalias\n');
    put('exclude', 'ann\n');
    put('mailnames', 'joe::jo:joseph\n');
    put('subusers', 'info:joe:in:\nno line\n');
    put('append', '+x:joe:1:1:/:::\nlast');
    const input = `${JOE}ann:x:504:78::/home/ann:\nbob:x:505:78::/home/bob:\n${ALIAS}`;
    const joe = 'joe:503:78:/home/joe';
    assert.deepEqual(
      run('qmail-pw2u', ['-H'], input),
      done(
        [
          `=jo:${joe}:::\n+jo-:${joe}:-::\n=joseph:${joe}:::\n+joseph-:${joe}:-::\n`,
          ALIAS_OUT,
          `=info:${joe}:-:in:\n+info-:${joe}:-:in-:\n`,
          '+x:joe:1:1:/:::\nlast.\n',
        ].join(''),
      ),
    );
    put('subusers', 'info:nobody:in:\n');
    assert.deepEqual(
      run('qmail-pw2u', ['-H'], input),
      fatal('qmail-pw2u', 'unable to find nobody user for subuser'),
    );
    rmSync(join(home, 'users/include'));
    mkdirSync(join(home, 'users/include'));
    assert.deepEqual(run('qmail-pw2u', ['-H'], input), fatal('qmail-pw2u', 'unable to read controls'));
  });

  it('makes what qmail-newu takes', () => {
    put('assign', run('qmail-pw2u', ['-H'], JOE + ALIAS).stdout);
    assert.deepEqual(run('qmail-newu'), SILENT);
    assert.match(textOf(findInUsersCdb(home, bytesOf('nosuch'))!.data), /^alias/);
  });
});

describe('qmail-getpw', () => {
  it('prints the account with the mail of an address, and says by its exit code that there is none', () => {
    const passwd = readFileSync('/etc/passwd', 'latin1').split('\n');
    const hasAlias = passwd.some((line) => line.startsWith('alias:'));
    const { status, stdout, stderr } = run('qmail-getpw', ['root-x']);
    assert.equal(stderr, '');
    if (hasAlias) assert.match(stdout, /^alias\0.*\0-\0root-x\0$/);
    else assert.deepEqual([status, stdout], [116, '']);
    const own = passwd
      .map((line) => line.split(':'))
      .find(([name = '', , uid, , , folder = '']) => {
        const owner = statSync(folder || '/missing', { throwIfNoEntry: false })?.uid;
        return uid !== '0' && /^[a-z]+$/.test(name) && String(owner) === uid;
      });
    if (own !== undefined) {
      const [name, , uid, gid, , folder] = own;
      const fields = [name, uid, gid, folder, '-', 'X.y', ''];
      assert.deepEqual(run('qmail-getpw', [`${name!.toUpperCase()}-X.y`]), {
        ...SILENT,
        stdout: fields.join(NUL),
      });
    }
    assert.deepEqual(run('qmail-getpw'), { status: 100, stdout: '', stderr: '' });
  });
});
