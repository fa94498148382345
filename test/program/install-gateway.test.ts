// The gateway as installed: SMTP comes in through its tcpserver and qmail-smtpd, and leaves by QMQP; and the hub, which is
// everything.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { HUB_PROGRAMS, LINKS, PROGRAMS } from '../../scripts/programs.mjs';
import { startFakeServer } from '../support/fake-qmqp-server.ts';
import { folder, fresh, installed, run } from '../support/run-install.ts';
import { startTcpserver } from '../support/tcpserver-process.ts';

const COMMANDS = [
  'HELO there',
  'MAIL FROM:<ann@example.net>',
  'RCPT TO:<bob@elsewhere.example>',
  'RCPT TO:<bob@b.example.org>',
  'DATA',
  'Subject: hello\r\n\r\n..\r\n.',
  'QUIT',
];

/** Says everything at once, and resolves with the codes of all replies. */
async function converse(port: number): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port });
  let replies = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    replies += text;
  });
  socket.write(COMMANDS.map((command) => `${command}\r\n`).join(''));
  await once(socket, 'close');
  return replies.split('\r\n').map((line) => line.slice(0, 3));
}

test('an installed gateway takes mail for its domains and hands it to the inside server at once', async () => {
  const prefix = fresh();
  const server = await startFakeServer('127.0.0.1', 0, [['read_all'], ['send', '2:Kk,'], ['close']]);
  const words = [
    '--role',
    'gateway',
    '--server',
    `qmqp://127.0.0.1:${server.port}`,
    '--me',
    'gate.example.org',
  ];
  const stdout = installed(prefix, ...words);
  assert.match(stdout, new RegExp(`^warn ${prefix}/control/rcpthosts: is missing: the gateway relays`, 'm'));
  assert.deepEqual(readdirSync(join(prefix, 'control')).sort(), ['me', 'qmqpservers']);
  writeFileSync(join(prefix, 'control/rcpthosts'), '.example.org\n');
  assert.equal(installed(prefix), 'nothing to do\n');
  const gateway = startTcpserver({
    program: join(prefix, 'bin/tcpserver'),
    args: ['-1', '-R', '-H', '-l', 'gate', '127.0.0.1', '0', join(prefix, 'bin/qmail-smtpd')],
    env: { PATH: '/usr/bin:/bin' },
    folder,
  });
  try {
    assert.deepEqual(await converse(await gateway.port()), [
      '220',
      '250',
      '250',
      '553',
      '250',
      '354',
      '250',
      '221',
      '',
    ]);
    const request = server.received[0]?.toString('latin1') ?? '';
    assert.match(
      request,
      /^\d+:\d+:Received: [^\0]*\nSubject: hello\n\n\.\n,15:ann@example\.net,17:bob@b\.example\.org,,$/,
    );
  } finally {
    await gateway.stop();
    await server.stop();
  }
  const unit = readFileSync(join(prefix, 'share/mini-qmail/mini-qmail-gateway.service'), 'utf8');
  assert.match(unit, new RegExp(`^ExecStart=${prefix}/bin/tcpserver .* ${prefix}/bin/qmail-smtpd$`, 'm'));
});

test('an installed hub has every program, its page, and an example of a unit', async () => {
  const prefix = fresh();
  installed(prefix, '--role', 'hub', '--me', 'hub.example.org', '--idhost', 'hub.example.org');
  const names = [...PROGRAMS, ...HUB_PROGRAMS, ...Object.keys(LINKS)].sort();
  assert.deepEqual(readdirSync(join(prefix, 'bin')).sort(), names);
  assert.equal(readlinkSync(join(prefix, 'bin/qmail-queue')), 'hub-queue');
  const pages = readdirSync(join(prefix, 'man'), { recursive: true, encoding: 'utf8' });
  for (const name of names)
    assert.ok(
      pages.some((page) => page.slice(5, -2) === name),
      name,
    );
  assert.ok(pages.includes('man8/mini-qmail-install.8'));
  const unit = readFileSync(join(prefix, 'share/mini-qmail/mini-qmail-hub.service'), 'utf8');
  assert.match(unit, new RegExp(`^ExecStart=${prefix}/bin/mini-qmail hub --home /var/lib/mini-qmail `, 'm'));
  const home = fresh();
  mkdirSync(join(home, 'control'), { recursive: true });
  writeFileSync(join(home, 'control/me'), 'hub.example.org\n');
  const words = ['hub', '--home', home, '--qmqp', '127.0.0.1:0'];
  const hub = spawn(join(prefix, 'bin/mini-qmail'), words, { env: {}, stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = await once(hub.stdout, 'data');
  assert.match(String(line), /^qmqp 127\.0\.0\.1:\d+\n/);
  try {
    // What the host itself sends goes into the queue by its own queue program.
    const sent = { env: { QMAILHOME: home }, input: 'Subject: x\n\nhello\n' };
    assert.equal(spawnSync(join(prefix, 'bin/sendmail'), ['-fa@b', 'joe'], sent).status, 0);
    const { stdout } = spawnSync(join(prefix, 'bin/qmail-qstat'), {
      env: { QMAILHOME: home },
      encoding: 'utf8',
    });
    assert.match(stdout, /^messages in queue: [01]\n/);
  } finally {
    hub.kill();
  }
  assert.deepEqual(await once(hub, 'exit'), [0, null]);
  assert.equal(run(['uninstall'], join(prefix, 'bin/mini-qmail')).status, 0);
});
