// mini-qmail import as a process: what each client's configuration becomes, that no secret gets out, and that nothing is
// overwritten unasked.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import type { Finding } from '../../src/setup/import-report.ts';
import { ROOT } from '../support/client-vectors.ts';

const SECRET = 'hunter2';

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** `LINE result becomes` of each finding. */
  readonly said: readonly string[];
  readonly findings: readonly Finding[];
  readonly written: { readonly [name: string]: string };
  readonly root: string;
}

/** Runs an import below a new folder that has these files, which may be changed by `again`. */
function runImport(files: { readonly [path: string]: string }, args: readonly string[], json = true): Result {
  const root = mkdtempSync(join(tmpdir(), 'import-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content, 'latin1');
    }
    const words = ['import', '--root', root, '--to', join(root, 'to'), ...(json ? ['--json'] : []), ...args];
    const env = { PATH: '/usr/bin:/bin', NO_COLOR: '1' };
    const { status, stdout, stderr } = spawnSync(join(ROOT, 'bin/mini-qmail'), words, {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    const findings = json && stdout !== '' ? (JSON.parse(stdout) as { findings: Finding[] }).findings : [];
    const said = findings.map(({ line, result, becomes }) => `${line} ${result} ${becomes}`.trim());
    const to = existsSync(join(root, 'to')) ? readdirSync(join(root, 'to')) : [];
    const written = Object.fromEntries(
      to.map((name) => [name, readFileSync(join(root, 'to', name), 'latin1')]),
    );
    return { status, stdout, stderr, said, findings, written, root };
  } finally {
    rmSync(root, { recursive: true });
  }
}

const SSMTP = 'etc/ssmtp/ssmtp.conf';

describe('mini-qmail import', () => {
  it('reads ssmtp.conf', () => {
    const text =
      'root=boss\r\nMailhub=10.1.1.1:587\r\nrewriteDomain=example.org\r\nhostname=h.example.org\r\n' +
      `FromLineOverride=NO\r\nAuthUser=joe\r\nAuthPass=${SECRET}\r\nUseTLS=YES\r\n# x\r\n${SECRET}\r\nAutPass=${SECRET}\r\n`;
    const { status, said, findings, stdout } = runImport({ [SSMTP]: text }, []);
    assert.equal(status, 100);
    assert.deepEqual(said, [
      '1 no counterpart',
      '2 hub control/smtproutes: :10.1.1.1:587',
      '2 control control/qmqpservers: 10.1.1.1',
      '3 control control/defaulthost: example.org',
      '4 control control/me: h.example.org',
      '5 environment QMAILINJECT=f',
      '6 no counterpart',
      '7 no counterpart',
      '8 no counterpart',
      '11 malformed',
      '10 malformed',
    ]);
    assert.match(findings[2]?.note ?? '', /must run a QMQP server \(port 628\)/);
    assert.ok(!stdout.includes(SECRET));
  });

  it('reads the default account of an msmtprc', () => {
    const text =
      `defaults\ntls on\naccount a\nhost smtp.example.org\nport 465\npassword ${SECRET}\npasswordeval "echo ${SECRET}"\n` +
      `account b\nhost other\naccount default : a\nfrom joe@example.org\nmaildomain example.net\n${SECRET} x\n`;
    const { status, said, findings, stdout } = runImport({ 'etc/msmtprc': text }, []);
    assert.equal(status, 100);
    assert.deepEqual(said, [
      '13 malformed',
      '8 no counterpart',
      '2 no counterpart',
      '4 hub control/smtproutes: :smtp.example.org:465',
      '4 no counterpart',
      '5 hub',
      '6 no counterpart',
      '7 no counterpart',
      '11 environment QMAILUSER=joe QMAILHOST=example.org',
      '12 control control/defaulthost: example.net',
    ]);
    assert.match(findings[4]?.note ?? '', /takes addresses: .* must run a QMQP server \(port 628\)/);
    assert.ok(!stdout.includes(SECRET));
  });

  it("reads nullmailer's files, whose QMQP servers are ours as well", () => {
    const { status, written, said, stdout } = runImport(
      {
        'etc/nullmailer/remotes': `10.0.0.1 qmqp\n10.0.0.2 qmqp --port=6280\nh.example smtp pass='${SECRET}' password=${SECRET} user=joe\n`,
        'etc/nullmailer/me': 'h.example.org',
        'etc/nullmailer/defaultdomain': 'example.org\r\n',
        'etc/nullmailer/allmailfrom': 'all@example.org\n',
        'etc/nullmailer/pausetime': '60\n',
      },
      ['--write'],
    );
    assert.equal(status, 0);
    assert.deepEqual(written, {
      defaultdomain: 'example.org\n',
      me: 'h.example.org\n',
      qmqpservers: '10.0.0.1\nqmqp://10.0.0.2:6280\n',
    });
    assert.ok(said.includes('1 environment QMAILSUSER=all QMAILSHOST=example.org'));
    assert.ok(said.includes('3 hub control/smtproutes: :h.example'));
    assert.ok(!stdout.includes(SECRET));
  });

  it('reads dma.conf, and the file that MAILNAME names', () => {
    const text =
      'SMARTHOST smtp.example.org\nPORT 587\nMAILNAME /etc/mailname\nMASQUERADE example.com\nAUTHPATH /etc/dma/auth.conf\n' +
      'STARTTLS\nNULLCLIENT\nSTARTTLS yes\nPORT\nWHAT 1\n';
    const { status, said } = runImport(
      { 'etc/dma/dma.conf': text, 'etc/dma/auth.conf': SECRET, 'etc/mailname': 'h.example.org\n' },
      [],
    );
    assert.equal(status, 100);
    assert.deepEqual(said, [
      '1 hub control/smtproutes: :smtp.example.org:587',
      '1 no counterpart',
      '2 hub',
      '3 control control/me: h.example.org',
      '4 environment QMAILSHOST=example.com',
      '5 no counterpart',
      '6 no counterpart',
      '7 built in',
      '8 malformed',
      '9 malformed',
      '10 malformed',
    ]);
  });

  it('reads the control folder of a qmail', () => {
    const { status, written, said } = runImport(
      {
        'q/control/me': 'h.example.org\nmore\n',
        'q/control/qmqpservers': '# hubs\n10.0.0.1 \n10.0.0.2\n',
        'q/control/locals': 'localhost\n',
        'q/control/odd': '',
      },
      ['--write', 'q/control'],
    );
    assert.equal(status, 0);
    assert.deepEqual(written, { me: 'h.example.org\n', qmqpservers: '10.0.0.1\n10.0.0.2\n' });
    assert.deepEqual(said, [
      '0 hub control/locals',
      '1 control control/me: h.example.org',
      '0 no counterpart',
      '2 control control/qmqpservers: 10.0.0.1',
      '3 control control/qmqpservers: 10.0.0.2',
    ]);
  });

  it('shows only, unless --write is given', () => {
    for (const args of [[], ['--dry-run']]) {
      const { status, stdout, written } = runImport({ [SSMTP]: 'hostname=h.x' }, args, false);
      assert.equal(status, 0);
      assert.deepEqual(written, {});
      assert.match(stdout, /ssmtp\.conf:1: hostname h\.x\n {4}control, control\/me: h\.x\n/);
      assert.match(
        stdout,
        /to\/me: to be written, from .*ssmtp\.conf:1\nNothing was written: --write writes/,
      );
    }
  });

  it('writes nothing while a file says something else, and --force replaces it', () => {
    const files = { [SSMTP]: 'hostname=h.x\nrewriteDomain=x.y\n', 'to/me': 'other\n' };
    const kept = runImport(files, ['--write']);
    assert.equal(kept.status, 100);
    assert.equal(
      kept.stderr,
      'mini-qmail import: Nothing was written: see what differs; --force replaces it\n',
    );
    assert.deepEqual(kept.written, { me: 'other\n' });
    const replaced = runImport(files, ['--write', '--force']);
    assert.equal(replaced.status, 0);
    assert.deepEqual(replaced.written, { me: 'h.x\n', defaulthost: 'x.y\n' });
    const same = runImport({ ...files, 'to/me': 'h.x\n' }, ['--write']);
    assert.equal(same.status, 0);
    assert.match(same.stdout, /"state": "unchanged"/);
  });

  it('lets the first of two values count, and says so', () => {
    const { findings } = runImport({ [SSMTP]: 'hostname=a.b\n', 'etc/nullmailer/me': 'c.d\n' }, []);
    assert.match(findings[1]?.note ?? '', /^control\/me comes from .*ssmtp\.conf:1 already: remove one$/);
  });

  it('refuses values that no control file can hold', () => {
    const { status, said } = runImport({ [SSMTP]: 'hostname=a b\nmailhub=h:0\nrewriteDomain=\x1b[1m\n' }, []);
    assert.equal(status, 100);
    assert.deepEqual(said, ['1 malformed', '2 malformed', '3 malformed']);
  });

  it('goes on after what cannot be read, and ends with 111', () => {
    const { status, said } = runImport({ [SSMTP]: 'hostname=a.b\n' }, ['missing/ssmtp.conf', SSMTP]);
    assert.equal(status, 111);
    assert.deepEqual(said, ['0 unreadable', '1 control control/me: a.b']);
  });

  it('waits for no pipe and no device', () => {
    const dma = { 'etc/dma/dma.conf': 'MAILNAME /../../../../../../../../dev/zero\n' };
    assert.deepEqual(runImport(dma, []).said, ['1 malformed']);
    const { status, said } = runImport({}, ['--from', 'ssmtp', '/dev/zero']);
    assert.deepEqual({ status, said }, { status: 111, said: ['0 unreadable'] });
  });

  const WRONG: readonly { args: string[]; stderr: RegExp }[] = [
    {
      args: [],
      stderr: /^mini-qmail import: Nothing to import at .*ssmtp\.conf, .*: name a file or folder\n$/,
    },
    { args: ['whatever'], stderr: /^mini-qmail import: Cannot tell what whatever is: say so with --from/ },
    { args: ['--from', 'exim', 'x'], stderr: /^mini-qmail import: Unknown kind exim: use one of ssmtp/ },
    { args: ['--write', '--dry-run'], stderr: /^mini-qmail: fatal: --write and --dry-run contradict/ },
    { args: ['--what'], stderr: /^mini-qmail: fatal: Unknown option --what/ },
  ];
  for (const { args, stderr } of WRONG) {
    it(`refuses ${args.join(' ') || 'to guess'}`, () => {
      const result = runImport({}, args, false);
      assert.deepEqual({ status: result.status, stdout: result.stdout }, { status: 100, stdout: '' });
      assert.match(result.stderr, stderr);
    });
  }
});
