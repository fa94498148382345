// mini-qmail identity as an administrator uses it: on the hub and on a host, with the hub and qmail-inject as processes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { miniQmail, untilTold } from '../support/mini-qmail.ts';

let hub: string;
let host: string;

beforeEach(() => {
  hub = makeHome({ locals: 'hub.example\n' });
  host = mkdtempSync(join(tmpdir(), 'identity-'));
  mkdirSync(join(host, 'control'));
});
afterEach(() => {
  for (const home of [hub, host]) removeHome(home);
});

/** An action that must succeed. @returns what it printed */
async function identity(home: string, action: string, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await miniQmail('identity', action, '--home', home, ...words);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** An action that must fail. @returns its exit code and what it said */
async function refusal(home: string, action: string, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await miniQmail('identity', action, '--home', home, ...words);
  assert.equal(stdout, '');
  return `${status} ${stderr}`;
}

/** Sends a message by qmail-inject of that home. @returns exit code and what it said */
function inject(home: string): Promise<[status: number | null, stderr: string]> {
  const env = { PATH: process.env['PATH'], QMAILHOME: home };
  const child = spawn(join(ROOT, 'bin/qmail-inject'), ['-fann@example.org', 'bob@hub.example'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env,
  });
  let said = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    said += text;
  });
  child.stdin.end('Subject: x\n\nbody\n');
  return new Promise((resolve) => child.on('close', (status) => resolve([status, said])));
}

const tls = (home: string, name: string) => join(home, 'control/tls', name);

/** Makes the host known to the hub. */
async function enrol(): Promise<void> {
  await identity(hub, 'init', '--name', '127.0.0.1');
  await identity(host, 'new', '--name', 'web1.example');
  writeFileSync(tls(host, 'host.pem'), await identity(hub, 'sign', tls(host, 'host.csr')));
  writeFileSync(tls(host, 'ca.pem'), readFileSync(tls(hub, 'ca.pem')));
}

test('a host is signed, sends mail as itself, and is revoked while the hub runs', async () => {
  await enrol();
  const server = await HubProcess.start(hub, undefined, 0, ['--qmqps', '127.0.0.1:0']);
  writeFileSync(join(host, 'control/qmqpservers'), `qmqps://127.0.0.1:${server.securePort} hub\n`);
  assert.deepEqual(await inject(host), [0, '']);
  await server.untilLogged(/^delivery\.success /m);
  const [message = ''] = readMailbox(hub, 'hub.example', 'bob');
  assert.match(
    message,
    /^Received: from unknown \(web1\.example@127\.0\.0\.1\)\n {2}by hub\.example with QMQP; /m,
  );
  const told = await untilTold(hub, 'bob', /delivered/);
  assert.match(
    told,
    /accepted from 127\.0\.0\.1 \(TLSv1\.3\), known as web1\.example, sender <ann@example\.org>/,
  );

  assert.match(
    await identity(hub, 'list'),
    /^web1\.example accepted until \d{4}-\d\d-\d\d sha256:[0-9a-f]{64}\n$/,
  );
  assert.match(await identity(hub, 'revoke', 'web1.example'), /^revoked sha256:[0-9a-f]{64}\n$/);
  let outcome: [number | null, string];
  // The hub looks at its list once a second.
  do outcome = await inject(host);
  while (outcome[0] === 0);
  const [warning, fatal] = outcome[1].split('\n');
  assert.equal(outcome[0], 111);
  assert.match(
    warning ?? '',
    /^qmail-inject: warning: qmqp\S+: it answered: sorry, the certificate of web1\.example is revoked \(#4\.7\.0\)$/,
  );
  assert.match(fatal ?? '', /^qmail-inject: fatal: mail server temporarily rejected message \(#4\.3\.0\)$/);
  assert.match(
    server.log.text,
    /^qmqp\.refused .* certificate=web1\.example .* reason="certificate is revoked"$/m,
  );
  assert.match(await identity(hub, 'list'), /^web1\.example revoked /);
  assert.match(await refusal(hub, 'revoke', 'web1.example'), /^100 .*web1\.example is revoked already\n$/);
  assert.equal(await server.end(), 0);
});

test('keys are for their owners only, and are never written over', async () => {
  await enrol();
  const keys = [tls(hub, 'ca.key'), tls(hub, 'hub.key'), tls(host, 'host.key')];
  const before = keys.map((path) => readFileSync(path, 'latin1'));
  for (const path of keys) assert.equal(statSync(path).mode & 0o777, 0o600, path);
  assert.match(await refusal(hub, 'init'), /^100 .*ca\.pem: it exists already\n$/);
  assert.match(
    await refusal(host, 'new', '--name', 'web2.example'),
    /^100 .*host\.key: it exists already\n$/,
  );
  rmSync(tls(hub, 'ca.pem'));
  rmSync(tls(host, 'host.csr'));
  assert.match(await refusal(hub, 'init'), /^100 .*ca\.key: it exists already\n$/);
  assert.match(await refusal(host, 'new'), /^100 .*host\.key: it exists already\n$/);
  assert.deepEqual(
    keys.map((path) => readFileSync(path, 'latin1')),
    before,
  );
});

test('a group may read the key of a host', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
  const [, name, , digits] = /^(\w+):(\w*):([1-9]\d*):/m.exec(readFileSync('/etc/group', 'latin1')) ?? [];
  await identity(host, 'new', '--name', 'web1.example', '--group', name ?? '');
  const { mode, gid } = statSync(tls(host, 'host.key'));
  assert.deepEqual([mode & 0o777, gid], [0o640, Number(digits)]);
  removeHome(tls(host, ''));
  assert.match(
    await refusal(host, 'new', '--group', 'no-such-group'),
    /^100 .*There is no group no-such-group/,
  );
});

test('what cannot be signed is refused, and nothing is written for it', async () => {
  await identity(hub, 'init');
  await identity(host, 'new', '--name', 'web1.example');
  const request = readFileSync(tls(host, 'host.csr'), 'latin1');
  const path = join(host, 'request');
  const der = Buffer.from(request.split('\n').slice(1, -2).join(''), 'base64');
  const forged = Buffer.from(der);
  forged[forged.indexOf('web1.example')] = 'v'.charCodeAt(0);
  const rows: [string | Buffer, string[], RegExp][] = [
    ['hello', [], /^100 .*It is no request for a certificate/],
    [forged, [], /^100 .*Its signature does not hold/],
    [request, ['--name', 'web_1'], /^100 .*"web_1" is not a name of a host/],
    [request, ['--days', '0'], /^100 .*--days "0" is not a number from 1 to 3650/],
    [request, ['--days', 'x'], /^100 .*--days "x" is not/],
    [readFileSync(tls(hub, 'ca.pem'), 'latin1'), [], /^100 .*It is no request/],
    [Buffer.alloc(100_000), [], /^100 .*is too large/],
  ];
  for (const [content, words, want] of rows) {
    writeFileSync(path, content);
    assert.match(await refusal(hub, 'sign', ...words, path), want);
  }
  assert.match(await refusal(hub, 'sign', join(host, 'none')), /^111 .*Cannot read .*none/);
  assert.match(
    await refusal(host, 'sign', tls(host, 'host.csr')),
    /^100 .*ca\.key is missing: .*identity init/,
  );
  assert.match(await refusal(hub, 'revoke', 'web1.example'), /^100 .*Nothing is known of "web1\.example"/);
  assert.equal(await identity(hub, 'list'), '');
  // The same in DER, under another name and for a day.
  writeFileSync(path, der);
  assert.match(
    await identity(hub, 'sign', '--name', 'Other.Example', '--days', '1', path),
    /^-----BEGIN CERT/,
  );
  const [entry] = (await identity(hub, 'list', '--json')).split('\n').map((line) => line && JSON.parse(line));
  assert.deepEqual([entry.name, entry.state], ['other.example', 'accepted']);
  const ahead = Date.parse(entry.until) - Date.now();
  assert.ok(ahead > 86_000_000 && ahead <= 86_400_000, entry.until);
});

test('a certificate and a request say what they are', async () => {
  await enrol();
  const show = async (path: string) => (await miniQmail('identity', 'show', path)).stdout;
  assert.match(
    await show(tls(host, 'host.csr')),
    /^request\nname web1\.example\nkey ec sha256:[0-9a-f]{64}\n$/,
  );
  assert.match(
    await show(tls(host, 'host.pem')),
    /^certificate\nname web1\.example\nissuer CN=Mail of hub\.example\nvalid \S+Z to \S+Z\nfingerprint sha256:[0-9a-f]{64}\n$/,
  );
  assert.match(await show(tls(hub, 'hub.pem')), /^certificate\nname hub\.example\nname 127\.0\.0\.1\n/);
  assert.match(await show(tls(hub, 'ca.pem')), /^authority\nname Mail of hub\.example\n/);
  assert.equal(await show(tls(host, 'host.key')), '');
  assert.match(
    await identity(hub, 'renew', '--name', 'new.example'),
    /^The hub is hub\.example, new\.example\n$/,
  );
  assert.match(await show(tls(hub, 'hub.pem')), /^certificate\nname hub\.example\nname new\.example\n/);
});

test('the command line is checked', async () => {
  for (const [words, want] of [
    [['identity', 'revoke'], /Missing required positional argument|Nothing to revoke/],
    [['identity', 'list', 'x'], /Unexpected word x/],
    [['identity', 'sign', 'a', 'b'], /Unexpected word b/],
    [['identity', 'new', '--days', '1'], /Unknown option --days/],
    [['hub', '--qmqps', 'x'], /--qmqps "x" is not HOST:PORT/],
  ] as const) {
    const { status, stderr } = await miniQmail(...words);
    assert.match(stderr, want);
    assert.equal(status, 100);
  }
});
