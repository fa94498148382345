// mini-qmail explain as a process: the words after the program's name are the program's, both forms of output, and nobody
// is connected to. That it tells the truth is tested case by case in src/setup/explain-injection.test.ts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ExplanationJson } from '../../src/setup/explain-command.ts';
import { ROOT } from '../support/client-vectors.ts';

interface Run {
  readonly args: readonly string[];
  readonly control?: { readonly [name: string]: string };
  readonly env?: { readonly [name: string]: string };
  readonly message?: string;
}

async function explain({ args, control, env, message = 'To: bob\n\nbody\n' }: Run) {
  const home = mkdtempSync(join(tmpdir(), 'explain-'));
  mkdirSync(join(home, 'control'));
  const files = { me: 'h.example\n', qmqpservers: '#\n10.0.0.9\n', ...control };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(home, 'control', name), content);
  const child = spawn(join(ROOT, 'bin/mini-qmail'), ['explain', ...args], {
    env: { USER: 'ann', QMAILHOME: home, ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(message);
  const exit = await new Promise((resolve) => child.on('close', resolve));
  rmSync(home, { recursive: true });
  return { exit, stdout, stderr };
}

async function explainJson(run: Run): Promise<ExplanationJson> {
  return JSON.parse((await explain({ ...run, args: ['--json', ...run.args] })).stdout) as ExplanationJson;
}

test('explain leaves every word after sendmail to sendmail, -h and -v included', async () => {
  const { sender, recipients } = await explainJson({
    args: ['sendmail', '-v', '-fjoe@x.y', '--', '-h', '--json'],
  });
  assert.deepEqual(sender, { address: 'joe@x.y', reasons: ['option -f'] });
  assert.deepEqual(
    recipients.map(({ address }) => address),
    ['-h@h.example', '--json@h.example'],
  );
});

test('explain qmail-inject names variable, file and line for each part', async () => {
  const explanation = await explainJson({
    args: ['qmail-inject', '-h'],
    control: { defaultdomain: 'example.org\n' },
    env: { QMAILDEFAULTHOST: 'short', QMAILINJECT: 'r' },
    message: 'To: bob\nBcc: eve@x.y\n\nbody\n',
  });
  assert.deepEqual(explanation.sender, {
    address: 'ann-@short.example.org-@[]',
    reasons: [
      'user part from USER',
      'host part from QMAILDEFAULTHOST',
      'domain from control/defaultdomain:1',
      'letter r of QMAILINJECT: one sender per recipient',
    ],
  });
  assert.deepEqual(explanation.recipients[0], {
    address: 'bob@short.example.org',
    reasons: ['field To', 'host part from QMAILDEFAULTHOST', 'domain from control/defaultdomain:1'],
  });
  assert.deepEqual(explanation.recipients[1], { address: 'eve@x.y', reasons: ['field Bcc'] });
  assert.deepEqual(explanation.removed, [{ field: 'Bcc', reasons: ['read for addresses, never passed on'] }]);
  assert.equal(explanation.bodyBytes, 6);
  assert.deepEqual(explanation.route, {
    kind: 'qmqp',
    target: '10.0.0.9:628',
    reason: 'control/qmqpservers:2',
    notes: [],
  });
});

test('explain connects to nobody and starts no queue program', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as { port: number };
  const servers = `[x],qmqp://127.0.0.1:${port}`;
  const { exit, stdout } = await explain({ args: ['sendmail', '-t'], env: { QMQPSERVERS: servers } });
  assert.equal(exit, 0);
  assert.match(
    stdout,
    new RegExp(`goes to {4}QMQP server 127\\.0\\.0\\.1:${port}\\n +QMQPSERVERS, entry 2\\n`),
  );
  assert.match(stdout, /QMQPSERVERS, entry 1 is passed over: \[x\]: it is no address/);
  assert.match(stdout, /Nothing was sent\.\n$/);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(connections, 0);

  const mark = join(tmpdir(), `explain-mark-${process.pid}`);
  writeFileSync(`${mark}.sh`, `#!/bin/sh\n: >${mark}\n`, { mode: 0o755 });
  const chosen = await explainJson({ args: ['sendmail', '-t'], env: { QMAILQUEUE: `${mark}.sh` } });
  rmSync(`${mark}.sh`);
  assert.equal(existsSync(mark), false);
  assert.equal(chosen.route?.kind, 'program');
  assert.equal(chosen.route?.reason, 'QMAILQUEUE');
});

test('explain tells the whole list of servers, what each is asked for, and what is skipped and why', async () => {
  const qmqpservers = '10.0.0.1 tls hub=a\nqmqp://hub\nqmqp://hub tsl\n10.0.0.2 backup\n';
  const listed = await explainJson({ args: ['sendmail', '-t'], control: { qmqpservers } });
  assert.deepEqual(listed.route, {
    kind: 'qmqp',
    target: '10.0.0.1:628',
    reason: 'control/qmqpservers:1, the first of 3',
    notes: [
      'control/qmqpservers:1 asks for tls hub=a',
      'control/qmqpservers:2 is a further server: qmqp://hub:628',
      'control/qmqpservers:3 is passed over: qmqp://hub tsl: tsl is no option of a server',
      'control/qmqpservers:4 is a further server: qmqp://10.0.0.2:628',
      'control/qmqpservers:4: what follows the address in 10.0.0.2 backup is ignored, its port is 628',
    ],
  });
});

test('explain tells where mail waits that no server takes', async () => {
  const control = { qmqpservers: '10.0.0.1\n', spilldir: '/var/spool/x\n' };
  const { stdout } = await explain({ args: ['sendmail', '-t'], control });
  assert.match(stdout, /\n +control\/spilldir: if no server takes it for now, it waits in \/var\/spool\/x\n/);
});

test('explain ends as the program would: refused, or no server', async () => {
  const refused = await explain({ args: ['sendmail', '-t'], message: 'To: )\x1b[31m\n' });
  assert.equal(refused.exit, 100);
  assert.equal(
    refused.stderr,
    'mini-qmail explain: sendmail would refuse: unable to parse this line: To: )\\x1b[31m\n',
  );
  const unserved = await explain({ args: ['sendmail', '-t'], control: { qmqpservers: 'hub.example\n' } });
  assert.equal(unserved.exit, 111);
  assert.match(unserved.stdout, /goes to {4}nobody: .*\n +control\/qmqpservers has no address of a server\n/);
  assert.match(unserved.stdout, /control\/qmqpservers:1 is passed over: hub\.example: it is no address/);
});

test('explain names the file that sendmail can only call a read error', async () => {
  const run = { args: ['sendmail', '-t'], env: { QMAILMFTFILE: '/' } };
  const { exit, stdout, stderr } = await explain(run);
  assert.equal(exit, 111);
  assert.equal(stderr, 'mini-qmail explain: sendmail would refuse: read error\n');
  assert.match(stdout, /^note {7}Cannot read \/: .*; correct its rights, or remove what is there\n/);
});

test('explain shows a message so that it cannot command the terminal', async () => {
  const { stdout } = await explain({
    args: ['sendmail', 'a@b.c'],
    message: 'X: \x1b]0;t\x07 \u202e j\u00f6rg\n\n',
  });
  assert.match(stdout, / {2}\| X: \\x1b\]0;t\\x07 \\u\{202e\} j\u00f6rg\n/);
});

for (const args of [[], ['postfix'], ['--what', 'sendmail'], ['--home']]) {
  test(`mini-qmail explain ${args.join(' ')} is a mistake`, async () => {
    const { exit, stdout, stderr } = await explain({ args });
    assert.deepEqual({ exit, stdout }, { exit: 100, stdout: '' });
    assert.match(stderr, /^mini-qmail: fatal: .*; see mini-qmail --help\n$/);
  });
}
