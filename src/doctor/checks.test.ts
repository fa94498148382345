import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { makeCertificate } from '../../test/support/certificate.ts';
import { compileRules } from '../../test/support/compile-rules.ts';
import type { HubStats } from '../hub/stats.ts';
import { checkCertificates, filesOfLine, judgeDates } from './check-certificates.ts';
import { checkSpill } from './check-client-folders.ts';
import { judgeClock } from './check-clock.ts';
import { judgeDisk } from './check-disk.ts';
import { checkEnvironment } from './check-environment.ts';
import { checkGateway } from './check-gateway.ts';
import { judgeHub } from './check-hub.ts';
import { checkHubControls, type HubRules } from './check-hub-controls.ts';
import { runChecks } from './doctor-command.ts';
import type { Finding } from './finding.ts';
import { formatFindings } from './format-findings.ts';
import { findHub, findTcpserverRules } from './hub-process.ts';
import { findInstallation } from './installation.ts';
import { judgeEvents, judgeSend } from './send-test.ts';

const folder = mkdtempSync(join(tmpdir(), 'doctor-checks-'));
after(() => rmSync(folder, { recursive: true }));
let home = '';
let count = 0;
beforeEach(() => {
  home = join(folder, String(++count));
  mkdirSync(join(home, 'control'), { recursive: true });
});

function control(name: string, content: string): void {
  writeFileSync(join(home, 'control', name), content);
}

/** What is not in order; that has a remedy. */
function troubles(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ state }) => state !== 'ok')
    .map(({ state, subject, seen, remedy }) => {
      if (state !== 'note') assert.ok(remedy, seen);
      return `${state} ${subject.replace(`${home}/`, '')} ${seen}`;
    });
}

function assertFound(findings: readonly Finding[], ...wanted: RegExp[]): void {
  const found = troubles(findings);
  assert.equal(found.length, wanted.length, found.join('\n'));
  for (const [i, pattern] of wanted.entries()) assert.match(found[i]!, pattern);
}

describe('findings', () => {
  const findings: Finding[] = [
    { check: 'names', subject: 'control/me', state: 'error', seen: 'is\x1b[2J bad', remedy: 'mend it' },
    { check: 'hub', subject: 'hub', state: 'ok', seen: 'runs' },
  ];

  test('are aligned, the worst last, and cannot command a terminal', () => {
    assert.equal(
      formatFindings(findings, false),
      'ok       hub    hub         runs\nerror    names  control/me  is\\x1b[2J bad\n                do: mend it\n1 error, 0 warnings, 0 notes, 1 ok\n',
    );
    assert.ok(formatFindings(findings, true).includes('\x1b[31merror  \x1b[0m'));
  });

  test('tell of a check that fails or does not end', async () => {
    const hangs = () => new Promise<Finding[]>(() => {});
    const fails = () => {
      throw new Error('no luck');
    };
    const found = await runChecks(
      [
        ['a', hangs],
        ['b', fails],
        ['c', () => findings],
      ],
      10,
    );
    assert.deepEqual(troubles(found.slice(0, 2)), [
      'warning a was not over within 0.01 seconds',
      'error b could not be looked at: no luck',
    ]);
    assert.equal(found.length, 4);
  });
});

test('findInstallation() knows the roles of what was put together by hand', () => {
  const rolesOf = () => findInstallation({ home, ownBin: '/', env: {} }).roles;
  assert.deepEqual(rolesOf(), ['client']);
  control('qmqpservers', '10.0.0.1\n');
  control('rcpthosts', 'example.org\n');
  assert.deepEqual(rolesOf(), ['gateway']);
  mkdirSync(join(home, 'queue/journal'), { recursive: true });
  assert.deepEqual(rolesOf(), ['hub', 'gateway']);
  mkdirSync(join(home, 'lib/mini-qmail'), { recursive: true });
  writeFileSync(join(home, 'lib/mini-qmail/install.json'), '{"format":1,"roles":["list"],"entries":[]}');
  assert.deepEqual(rolesOf(), ['list', 'hub']);
});

test('checkEnvironment() tells variables that change things, and no others', () => {
  const found = checkEnvironment({
    env: { QMQPSERVERS: '10.0.0.1', QMAILINJECT: '', HOME: '/', QMAILQUEUE: '' },
  });
  assertFound(found, /^note QMQPSERVERS "10\.0\.0\.1" is used in place/, /^note QMAILQUEUE "" is run/);
});

test('checkSpill() tells mail that waits, was refused, or cannot be kept', () => {
  const uid = process.getuid?.() ?? 0;
  const nowSeconds = 1_800_000_000;
  const look = () => checkSpill(home, uid, nowSeconds * 1000);
  assert.deepEqual(look(), []);
  control('spilldir', 'spill\n');
  assertFound(look(), /^error spill keeps no mail: /);
  mkdirSync(join(home, `spill/${uid}`), { recursive: true });
  chmodSync(join(home, 'spill'), 0o777);
  assertFound(look(), /^error spill keeps no mail: .*chmod 1777/);
  chmodSync(join(home, 'spill'), 0o1777);
  chmodSync(join(home, `spill/${uid}`), 0o700);
  assertFound(look());
  writeFileSync(join(home, `spill/${uid}/${nowSeconds - 60}.000001.1.0`), '');
  assertFound(look(), /^note spill 1 message kept, the oldest for 1 minute/);
  writeFileSync(join(home, `spill/${uid}/${nowSeconds - 7200}.000001.1.0`), '');
  assertFound(look(), /^warning spill 2 messages kept, the oldest for 120 minutes/);
  rmSync(join(home, `spill/${uid}`), { recursive: true });
  mkdirSync(join(home, `spill/${uid}`), { mode: 0o700 });
  writeFileSync(join(home, `spill/${uid}/${nowSeconds}.000001.1.0.x${nowSeconds}`), '');
  assertFound(look(), /^warning spill 1 message refused/);
});

test('judgeClock() tells a clock that is behind, or kept right by nobody', () => {
  const nowMs = Date.UTC(2026, 10, 23);
  assertFound(judgeClock({ nowMs, newestMs: nowMs + 59_000, isSynchronized: true }));
  assertFound(
    judgeClock({ nowMs, newestMs: nowMs + 86_400_000, isSynchronized: true }),
    /^error .*2026-11-24T/,
  );
  assertFound(judgeClock({ nowMs, newestMs: 0, isSynchronized: false }), /^warning .*by nobody/);
  assertFound(judgeClock({ nowMs, newestMs: 0, isSynchronized: undefined }), /^note /);
});

test('judgeDisk() tells file systems that forget, and disks that fill up', () => {
  const disk = { type: 0xef53, bsize: 4096, blocks: 1e6, bavail: 5e5, files: 1e6, ffree: 5e5 };
  const look = (change: object) => judgeDisk('disk', '/q', { ...disk, ...change });
  assertFound(look({}));
  assertFound(look({ files: 0, ffree: 0 }));
  assertFound(look({ type: 0x01021994 }), /^warning \/q is on tmpfs/);
  assertFound(look({ type: 0x794c7630 }), /^warning \/q is on overlay/);
  assertFound(look({ bavail: 4e4 }), /^warning \/q 156 MB \(4 %\)/);
  assertFound(look({ bavail: 1e4 }), /^error \/q 39 MB/);
  assertFound(look({ ffree: 900 }), /^warning \/q 900 more files/);
});

describe('certificates', () => {
  const made = makeCertificate('hub.example');
  const other = makeCertificate('other.example');
  after(() => {
    made.remove();
    other.remove();
  });

  test('are told when they have expired, are about to, or are not in force yet', () => {
    const certificate = new X509Certificate(made.cert);
    const at = (days: number) =>
      judgeDates('x', certificate, certificate.validToDate.getTime() - days * 86_400_000);
    assert.match(at(-1).seen, /expired on 20/);
    assert.deepEqual([at(-1).state, at(1).state, at(30).state], ['error', 'warning', 'error']);
    assert.match(at(30).seen, /not in force before/);
    const long = { validFromDate: new Date(0), validToDate: new Date(22 * 86_400_000) };
    assert.equal(judgeDates('x', long, 0).state, 'ok');
    assert.equal(judgeDates('x', long, 2 * 86_400_000).state, 'warning');
  });

  test('are compared with their keys, which must be secret', () => {
    const tls = join(home, 'control/tls');
    mkdirSync(tls);
    writeFileSync(join(tls, 'host.pem'), made.cert);
    const look = () =>
      checkCertificates(filesOfLine(home, {}), Date.now()).filter(({ subject }) => subject.endsWith('.key'));
    assertFound(look(), /^error .*host\.key is missing/);
    writeFileSync(join(tls, 'host.key'), other.key, { mode: 0o600 });
    assertFound(look(), /^error .* is not the key of the certificate/);
    writeFileSync(join(tls, 'host.key'), made.key);
    assertFound(look());
    chmodSync(join(tls, 'host.key'), 0o644);
    assertFound(look(), /^error .* everybody may read this secret key/);
    writeFileSync(join(tls, 'host.key'), 'nonsense');
    chmodSync(join(tls, 'host.key'), 0o600);
    assertFound(look(), /^error .* holds no key/);
  });

  test('that a line names must be there, those of the folder need not', () => {
    assert.deepEqual(filesOfLine(home, {}), []);
    const files = filesOfLine(home, { ca: 'a.pem', cert: '/c.pem', key: '/k.pem' });
    assert.deepEqual(files, [{ certificate: join(home, 'a.pem') }, { certificate: '/c.pem', key: '/k.pem' }]);
    assertFound(checkCertificates(files, 0), /a\.pem cannot be used: file does not/, /c\.pem cannot be used/);
  });
});

function compile(path: string, rules: string): void {
  const compiled = compileRules(rules);
  assert.ok('cdb' in compiled);
  writeFileSync(path, compiled.cdb);
}

function hubRules(rules?: string, smtpRules?: string): HubRules {
  return { rules, smtpRules, hidesRules: false };
}

describe("a hub's control files", () => {
  const CASES: readonly [file: string, content: string, wanted: RegExp][] = [
    ['qmqpclients', '10.0.0.0/33\n', /^error control\/qmqpclients a hub does not start: .*10\.0\.0\.0\/33/],
    ['qmqpclients', '0.0.0.0/0\n', /^error control\/qmqpclients lets the whole world/],
    ['qmqpclients', '0.0.0.0/1\n128.0.0.0/1\n', /^error control\/qmqpclients lets the whole world/],
    ['qmqpclients', '8.0.0.0/8\n', /^warning control\/qmqpclients lets strangers .*8\.8\.8\.8/],
    ['destinations', 'example.org\n', /^error control\/destinations a hub does not start/],
    ['smtpauth', 'nonsense\n', /^error control\/smtpauth a hub does not start/],
    ['tlspolicy', 'example.org:mabye\n', /^error control\/tlspolicy a hub does not start/],
    ['tlsclients', 'certificate x\n', /^error control\/tls a hub does not start: .*tlsclients/],
    ['qmqptls', 'demanded\n', /^error control\/tls a hub does not start: .*qmqptls: "demanded"/],
    ['localdelivery', 'user\n', /^error control\/localdelivery a hub does not start/],
    ['smtproutes', 'relay.example\n', /^warning control\/smtproutes "relay\.example" has no colon/],
    ['smtproutes', ':relay.example:0\n', /^error control\/smtproutes .* has port 0/],
    ['virtualdomains', 'example.org\n', /^warning control\/virtualdomains .* has no colon/],
    ['timeoutremote', '0\n', /^error control\/timeoutremote is 0/],
    ['concurrencyremote', '0\n', /^warning control\/concurrencyremote is 0: mail for other hosts is held/],
    ['queuelifetime', '0\n', /^warning control\/queuelifetime is 0/],
  ];

  for (const [file, content, wanted] of CASES) {
    test(`with ${JSON.stringify(content)} in ${file} are told`, () => {
      control('qmqpclients', '10.0.0.0/8\n192.168.0.0/16\n2001:db8::/32\n');
      control(file, content);
      chmodSync(join(home, 'control', file), 0o600);
      assertFound(checkHubControls(home, hubRules()), wanted);
    });
  }

  test('are told when rules let everybody in', () => {
    control('qmqpclients', '10.0.0.0/8\n');
    const path = join(home, 'rules.cdb');
    assertFound(checkHubControls(home, hubRules(path)), /^error rules\.cdb lets nobody in: .*rules\.cdb/);
    for (const [rules, ...wanted] of [
      ['10.:allow\n', /^error rules\.cdb lets the whole world/],
      ['10.:allow\n:deny\n'],
    ] as const) {
      compile(path, rules);
      assertFound(checkHubControls(home, hubRules(path)), ...wanted);
    }
    assertFound(checkHubControls(home, hubRules()));
    const smtp = join(home, 'smtp.cdb');
    compile(smtp, '10.:allow,RELAYCLIENT=""\n');
    assertFound(checkHubControls(home, hubRules(undefined, smtp)));
    compile(smtp, ':allow,RELAYCLIENT=""\n');
    assertFound(checkHubControls(home, hubRules(path, smtp)), /^error smtp\.cdb lets the whole world/);
    rmSync(join(home, 'control/qmqpclients'));
    assertFound(checkHubControls(home, hubRules()), /^note control\/qmqpclients is missing/);
  });
});

describe('a hub', () => {
  const gauges = { queued: 0, held: 0, oldestSeconds: 0 };
  const recipients = { atStart: 1, accepted: 5, delivered: 3, failed: 1, removed: 1, queued: 1 };
  const stats = (change: object = {}) =>
    ({ gauges: { ...gauges, ...change }, recipients: { ...recipients, ...change } }) as unknown as HubStats;

  test('that runs is asked about its queue', () => {
    assertFound(judgeHub(stats(), undefined));
    assertFound(judgeHub(stats({ failed: 0 }), undefined), /^error queue 1 recipient unaccounted/);
    const old = stats({ queued: 1, held: 1, oldestSeconds: 200_000 });
    assertFound(judgeHub(old, undefined), /^note queue 1 message, .* 2 days/, /^note queue 1 message held/);
  });

  test('that does not answer is told', () => {
    const hub = { pid: 7, options: new Map(), ...hubRules() };
    assertFound(judgeHub('not running', undefined), /^error hub does not run/);
    assertFound(judgeHub('not running', hub), /^warning hub runs as process 7, but/);
    assertFound(judgeHub({ failed: 'connect EACCES /x' }, hub), /^note hub this user may not ask it/);
    assertFound(judgeHub({ failed: 'answer was cut' }, hub), /^error hub does not answer: answer was cut/);
  });
});

test('findHub() and findTcpserverRules() read command lines', () => {
  const node = ['/opt/node', '/opt/mini-qmail.mjs', '/usr/bin/mini-qmail'];
  const processes = [
    { pid: 1, folder: '/', words: [...node, 'hub', '--home', '/other'] },
    {
      pid: 2,
      folder: '/srv',
      words: [...node, 'hub', '--home=mail', '--qmqp', '[::]:628', '--rules', 'r.cdb', '--smtp', '[::]:25'],
    },
    { pid: 3, folder: '/', words: ['tail', 'hub', '--home', '/srv/mail'] },
    {
      pid: 4,
      folder: '/etc',
      words: ['tcpserver', '-vRx', 'smtp.cdb', '0', '25', '/var/qmail/bin/qmail-smtpd'],
    },
    { pid: 7, folder: '/etc', words: ['tcpserver', '-x', 'other.cdb', '0', '25', '/other/bin/qmail-smtpd'] },
    {
      pid: 6,
      folder: '/etc',
      words: [...node.slice(0, 1), '/t.cjs', 'bin/tcpserver', '-lx.y', '0', '25', 'qmail-smtpd'],
    },
    { pid: 8, folder: undefined, words: ['tcpserver', '-x', 'hidden.cdb', '0', '25', 'qmail-smtpd'] },
    { pid: 9, folder: undefined, words: [...node, 'hub', '--home', '/srv/hidden', '--rules', 'r.cdb'] },
    { pid: 5, folder: '/etc', words: ['tcpserver', '-xpop.cdb', '0', '110', 'qmail-popup'] },
  ];
  const hub = findHub(processes, '/srv/mail');
  assert.deepEqual([hub?.pid, hub?.options.get('qmqp'), hub?.rules], [2, '[::]:628', '/srv/r.cdb']);
  assert.equal(hub?.smtpRules, '/srv/r.cdb');
  assert.equal(hub?.hidesRules, false);
  const hidden = findHub(processes, '/srv/hidden');
  assert.deepEqual([hidden?.rules, hidden?.hidesRules], [undefined, true]);
  assertFound(checkHubControls(home, hidden!), /^note hub runs with rules/);
  assert.equal(findHub(processes, '/nowhere'), undefined);
  assert.deepEqual(findTcpserverRules(processes, '/var/qmail', 'qmail-smtpd'), ['/etc/smtp.cdb']);
});

describe('a gateway', () => {
  const look = (...rules: string[]) =>
    checkGateway(home, rules).filter(({ subject }) => !subject.startsWith('/etc/'));

  test('without rcpthosts is open to the world, with an empty one closed', () => {
    control('me', 'gate.example\n');
    assertFound(look(), /^error control\/rcpthosts is missing: everybody may send/);
    control('rcpthosts', '');
    assertFound(look(), /^warning control\/rcpthosts is empty/);
    control('rcpthosts', 'example.org\n');
    assertFound(look());
  });

  test('must have what its programs read, compiled after it was written', () => {
    control('rcpthosts', 'example.org\n');
    assertFound(look(), /^error qmail-smtpd takes no mail: .*smtpgreeting/);
    control('me', 'gate.example\n');
    control('rcptcheck', 'hub:629\n');
    control('rcptcheckfail', 'shut\n');
    assertFound(
      look(),
      /^error control\/rcptcheck "hub:629"/,
      /^error control\/rcptcheckfail "shut" is neither/,
    );
    rmSync(join(home, 'control/rcptcheck'));
    control('rcptcheckfail', 'closed\n');
    control('morercpthosts', 'a.example\n');
    assertFound(look(), /^error control\/morercpthosts has no effect/);
    control('morercpthosts.cdb', '');
    assertFound(look());
    utimesSync(join(home, 'control/morercpthosts.cdb'), 1, 1);
    assertFound(look(), /^warning control\/morercpthosts was changed after it was compiled/);
    rmSync(join(home, 'control/morercpthosts'));
    assertFound(look(), /^note control\/morercpthosts\.cdb is used, and/);
  });

  test('must have the rules that its tcpserver uses, and in their latest form', () => {
    control('me', 'gate.example\n');
    control('rcpthosts', 'example.org\n');
    const cdb = join(home, 'smtp.cdb');
    assertFound(look(cdb), /^error smtp\.cdb lets nobody in: .*ENOENT/);
    compile(cdb, ':allow,RELAYCLIENT=""\n');
    assertFound(look(cdb), /^error smtp\.cdb lets the whole world/);
    compile(cdb, '10.:allow,RELAYCLIENT=""\n:allow\n');
    assertFound(look(cdb));
    utimesSync(cdb, 1, 1);
    writeFileSync(join(home, 'smtp'), ':allow\n');
    assertFound(look(cdb), /^warning smtp was changed after it was compiled/);
  });
});

test('judgeSend() and judgeEvents() tell what became of a test message', () => {
  assertFound(judgeSend('a@b', { exit: 0, stderr: '' }));
  assertFound(
    judgeSend('a@b', { exit: 111, stderr: 'fatal: x\n' }),
    /^error a@b sendmail ended with 111: fatal: x$/,
  );
  assertFound(judgeSend('a@b', undefined), /^error a@b sendmail is still trying/);
  const event = (name: string) => ({ time: '', event: name, id: 3, text: 'words' });
  assertFound(judgeEvents('a@b', []), /^note /);
  assertFound(judgeEvents('a@b', [event('accepted')]), /^note a@b is in the queue, not tried yet/);
  assertFound(judgeEvents('a@b', [event('accepted'), event('delivery.success')]));
  assertFound(judgeEvents('a@b', [event('delivery.deferral')]), /^warning a@b not delivered yet: words/);
  assertFound(
    judgeEvents('a@b', [event('delivery.failure'), event('bounce')]),
    /^error a@b cannot be delivered: words/,
  );
});
