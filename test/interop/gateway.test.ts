// SMTP clients of other people into our gateway into our hub: everything is accepted, and each message is in the Maildir
// exactly once and to the byte.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { freePort, missingPeers, runPeer } from '../support/peers.ts';
import { missingPostfix, startPostfix } from '../support/postfix.ts';

const TRACE =
  /^Return-Path: <([^>]*)>\nDelivered-To: (\S+)\nReceived: from unknown \(127\.0\.0\.1\)\n {2}by hub\.example with QMQP; [^\n]* -0000\nReceived: from unknown \(HELO [\w.-]+\) \(127\.0\.0\.1\)\n {2}by gateway\.example with SMTP; [^\n]* -0000\n/;
const SIZE = 2000;
const COUNT = Number(process.env['MINI_QMAIL_SOURCE_COUNT'] ?? 300);

/** Runs a client to its end; what it printed if it did not succeed. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const [exit, printed] = await runPeer(program, args);
  return exit === 0 ? '' : `${program} ended with ${exit}: ${printed}`;
}

function bodyOf(message: string): string {
  return message.slice(message.indexOf('\n\n') + 2);
}

describe('clients of other people through the gateway', () => {
  let home: string;
  let hub: HubProcess;
  let gateway: Gateway;
  before(async () => {
    home = makeHome({ locals: 'hub.example\n' });
    hub = await HubProcess.start(home);
    gateway = await startGateway([hub.port], { rcpthosts: 'hub.example\n' });
  });
  after(async () => {
    await gateway.stop();
    await hub.end('SIGKILL');
    removeHome(home);
  });

  it('swaks: dots, eight bits, a long line and an empty one arrive to the byte', {
    skip: missingPeers('swaks'),
  }, async () => {
    const lines = [
      '.',
      '..',
      '.dot',
      `caf\u00e9 ${String.fromCharCode(0x80, 0xff)}`,
      'x'.repeat(1200),
      ' ',
      '\t',
      'From me',
    ];
    const messages = [`Subject: swaks\n\n${lines.join('\n')}\n`, 'Subject: empty\n\n\n'];
    for (const [i, message] of messages.entries()) {
      const path = join(home, `message-${i}`);
      // swaks ends the last line itself.
      writeFileSync(path, message.slice(0, -1).replaceAll('\n', '\r\n'), 'latin1');
      const envelope = [
        '--helo',
        'swaks.example',
        '--from',
        'a@peer.example',
        '--to',
        `swaks-${i}@hub.example`,
      ];
      const server = ['--server', '127.0.0.1', '--port', String(gateway.port)];
      assert.equal(await run('swaks', [...server, ...envelope, '--data', `@${path}`]), '');
      await hub.untilLogged(new RegExp(`^delivery\\.success [^\\n]*swaks-${i}@`, 'm'));
      const [stored = '', ...others] = readMailbox(home, 'hub.example', `swaks-${i}`);
      assert.deepEqual(others, []);
      assert.deepEqual(TRACE.exec(stored)?.slice(1), ['a@peer.example', `swaks-${i}@hub.example`]);
      assert.equal(stored.replace(TRACE, ''), message);
    }
    const refused = await run('swaks', [
      ...['--server', '127.0.0.1', '--port', String(gateway.port)],
      ...['--from', 'a@peer.example', '--to', 'b@elsewhere.example', '--quit-after', 'RCPT'],
    ]);
    assert.match(refused, /553 sorry, that domain isn't in my list of allowed rcpthosts \(#5\.7\.1\)/);
  });

  it(`Postfix's smtp-source: ${COUNT} messages over 20 connections arrive, each once and whole`, {
    skip: missingPeers('smtp-source'),
  }, async () => {
    const counts = ['-s', '20', '-m', String(COUNT), '-l', String(SIZE)];
    const envelope = ['-f', 'source@peer.example', '-t', 'sink@hub.example', '-M', 'source.example'];
    assert.equal(await run('smtp-source', [...counts, ...envelope, `inet:127.0.0.1:${gateway.port}`]), '');
    await hub.untilLogged(/^delivery\.success [^\n]*sink@hub\.example/m, COUNT);
    const messages = readMailbox(home, 'hub.example', 'sink');
    assert.equal(messages.length, COUNT);
    const ids = new Set<string>();
    const payload = bodyOf(messages[0] ?? '');
    assert.ok(payload.length > 1900);
    for (const message of messages) {
      assert.match(message, TRACE);
      const sent = message.replace(TRACE, '');
      ids.add(/^Message-Id: <(.*)>$/im.exec(sent)?.[1] ?? '');
      assert.equal(bodyOf(sent), payload);
      assert.match(sent, /^From: <source@peer\.example>\nTo: <sink@hub\.example>\n/);
    }
    assert.equal(ids.size, COUNT);
  });

  it("Postfix's own client: what its queue relays through the gateway arrives, each message once and to the byte", {
    skip: missingPostfix() || missingPeers('smtp-source'),
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-postfix-'));
    chmodSync(folder, 0o755);
    const port = await freePort();
    const postfix = await startPostfix(folder, port, { service: 'smtpd', relayPort: gateway.port });
    try {
      const envelope = ['-f', 'queue@peer.example', '-t', 'relayed@hub.example', '-M', 'source.example'];
      const load = ['-s', '5', '-m', '50', '-l', String(SIZE), `inet:127.0.0.1:${port}`];
      assert.equal(await run('smtp-source', [...envelope, ...load]), '');
      await hub.untilLogged(/^delivery\.success [^\n]*relayed@hub\.example/m, 50);
    } finally {
      await postfix.stop();
      rmSync(folder, { recursive: true });
    }
    const messages = readMailbox(home, 'hub.example', 'relayed');
    assert.equal(messages.length, 50);
    const queueIds = new Set<string>();
    for (const message of messages) {
      assert.equal(TRACE.exec(message)?.[1], 'queue@peer.example');
      const own =
        /^Received: from source\.example [^\n]*\n\tby postfix\.example \(Postfix\) with SMTP id (\w+)\n/;
      const relayed = message.replace(TRACE, '');
      queueIds.add(own.exec(relayed)?.[1] ?? '');
      assert.match(relayed, /\nTo: <relayed@hub\.example>\n/);
      assert.match(bodyOf(relayed), /^(\dX+\n){20}/);
      assert.equal(bodyOf(relayed), bodyOf(messages[0]!));
    }
    assert.equal(queueIds.size, 50);
  });
});
