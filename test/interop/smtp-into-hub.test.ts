// Clients of other people into the hub by SMTP and LMTP: everything is accepted, and each message is in the Maildir
// exactly once and whole.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { makeCertificate } from '../support/certificate.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { missingPeers, runPeer } from '../support/peers.ts';

const SIZE = 2000;
const COUNT = Number(process.env['MINI_QMAIL_SOURCE_COUNT'] ?? 200);
const TROUBLE = /^(?:refused|smtp\.|queue\.|delivery\.(?:deferral|failure|trouble)|bounce|admin\.)/m;
const LISTENERS = ['--smtp', '127.0.0.1:0', '--lmtp', '127.0.0.1:0'];

let home: string;
let hub: HubProcess;

beforeEach(() => {
  home = makeHome({ locals: 'hub.example\n' });
});
afterEach(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

for (const protocol of ['SMTP', 'LMTP'] as const)
  test(`the hub takes ${COUNT} messages of Postfix's smtp-source by ${protocol} over 20 connections, each once`, {
    skip: missingPeers('smtp-source'),
  }, async () => {
    hub = await HubProcess.start(home, undefined, 0, LISTENERS);
    const [port, option] = protocol === 'SMTP' ? [hub.smtpPort, []] : [hub.lmtpPort, ['-L']];
    const counts = [...option, '-s', '20', '-m', String(COUNT), '-l', String(SIZE)];
    const envelope = ['-f', 'source@peer.example', '-t', 'sink@hub.example'];
    assert.deepEqual(await runPeer('smtp-source', [...counts, ...envelope, `inet:127.0.0.1:${port}`]), [
      0,
      '',
    ]);
    await hub.untilLogged(/\ndelivery\.success /, COUNT);
    assert.equal(await hub.end(), 0);
    const messages = readMailbox(home, 'hub.example', 'sink');
    assert.equal(messages.length, COUNT);
    for (const message of messages) {
      const from = message.indexOf('\nFrom: ') + 1;
      const trace = new RegExp(
        `^Return-Path: <source@peer\\.example>\\nDelivered-To: .*\\nReceived: from unknown .*\\n {2}by hub\\.example with ${protocol};`,
      );
      assert.match(message.slice(0, from), trace);
      // The generator counts what follows the header, with CR LF ends, but for the last one.
      const body = message.slice(message.indexOf('\n\n', from) + 2, -1);
      assert.equal(body.replaceAll('\n', '\r\n').length, SIZE);
    }
    assert.doesNotMatch(hub.log.text, TROUBLE);
    assert.match(
      hub.log.text,
      new RegExp(`^hub\\.stopped messages=0 accepted=${COUNT} resubmissions=0 finished=${COUNT}$`, 'm'),
    );
  });

test('swaks sends by SMTP in clear, pipelined and under TLS, and by LMTP', {
  skip: missingPeers('swaks', 'openssl'),
}, async () => {
  const certificate = makeCertificate('hub.example');
  copyFileSync(certificate.path, join(home, 'control/servercert.pem'));
  certificate.remove();
  hub = await HubProcess.start(home, undefined, 0, LISTENERS);
  const ways: [string, string[]][] = [
    ['SMTP', ['--port', String(hub.smtpPort)]],
    ['SMTP', ['--port', String(hub.smtpPort), '--pipeline']],
    ['ESMTPS', ['--port', String(hub.smtpPort), '--tls']],
    ['LMTP', ['--port', String(hub.lmtpPort), '--protocol', 'LMTP']],
  ];
  const envelope = ['--server', '127.0.0.1', '--from', 'swaks@peer.example', '--to', 'sink@hub.example'];
  for (const [, options] of ways) {
    const [exit, printed] = await runPeer('swaks', [...envelope, ...options, '--body', 'one\n.\n..two']);
    assert.equal(exit, 0, printed);
  }
  await hub.untilLogged(/\ndelivery\.success /, ways.length);
  const messages = readMailbox(home, 'hub.example', 'sink');
  const words = messages.map((message) => /\n {2}by hub\.example with (\w+);/.exec(message)?.[1]);
  assert.deepEqual(words.sort(), ways.map(([word]) => word).sort());
  for (const message of messages) assert.match(message, /\n\none\n\.\n\.\.two\n/);
  assert.doesNotMatch(hub.log.text, TROUBLE);
});
