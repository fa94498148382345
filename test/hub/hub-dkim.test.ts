// A hub that signs: keys made by the command, mail that waits while they are not in order, and the hub's mail sent by another
// program, signed all the same. Whether signatures are good is test/interop/dkim.test.ts.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';
import { untilPutOff } from '../support/until-put-off.ts';

const PROGRAM = join(ROOT, 'bin/mini-qmail');
const MESSAGE = 'From: ann@me.example\nSubject: x\n\nbody\n';

/** A home with a key for me.example, whose mail goes to that port. */
function makeSigningHome(port: number): string {
  const home = makeHome({ smtproutes: `:127.0.0.1:${port}\n` });
  const words = ['dkim', 'keygen', '--home', home, '--type', 'ed25519', 'me.example', 's1'];
  const { status, stdout } = spawnSync(PROGRAM, words, { encoding: 'latin1' });
  assert.equal(status, 0);
  assert.match(stdout, /^s1\._domainkey\.me\.example\. IN TXT "v=DKIM1; k=ed25519; p=[\w+/]{43}="\n$/);
  return home;
}

test('a hub signs what it sends, and keeps what it cannot sign until the key is in order', async () => {
  const server = await ScriptedServer.start(agree());
  const home = makeSigningHome(server.port);
  const key = join(home, 'control/dkim/me.example/s1.key');
  const hub = await HubProcess.start(home);
  try {
    await submit(hub.port, MESSAGE, 's@me.example', 'r@far.example');
    await hub.untilLogged(/delivery\.success/);
    assert.match(
      server.messages[0]!,
      /^DKIM-Signature: v=1; a=ed25519-sha256; [^;]*;\r\n d=me\.example; s=s1; t=\d+;/,
    );
    chmodSync(key, 0o644);
    process.kill(hub.pid, 'SIGHUP');
    await hub.untilLogged(/dkim\.trouble domain=me\.example reason=".*chmod o-r it"/);
    await submit(hub.port, MESSAGE, 's@me.example', 'r@far.example');
    await hub.untilLogged(/delivery\.deferral .*Mail from me\.example cannot be signed for now/);
    await untilPutOff(home);
    assert.equal(server.messages.length, 1);
    chmodSync(key, 0o600);
    process.kill(hub.pid, 'SIGHUP');
    await hub.untilLogged(/hub\.hangup/, 2);
    process.kill(hub.pid, 'SIGALRM');
    await hub.untilLogged(/delivery\.success/, 2);
    assert.match(server.messages[1]!, /^DKIM-Signature: /);
  } finally {
    await hub.end();
    await server.close();
    removeHome(home);
  }
});

test('a hub sends by the program that it is told to use, and takes its reports', async () => {
  const server = await ScriptedServer.start(agree());
  const home = makeSigningHome(server.port);
  process.env['QMAILREMOTE'] = join(ROOT, 'bin/qmail-remote');
  process.env['QMAILHOME'] = home;
  const hub = await HubProcess.start(home).finally(() => {
    delete process.env['QMAILREMOTE'];
    delete process.env['QMAILHOME'];
  });
  try {
    await submit(hub.port, MESSAGE, 's@me.example', 'r@far.example');
    await hub.untilLogged(/delivery\.success .*text="127\.0\.0\.1 accepted message\./);
    assert.match(server.received[0]!, /^HELO hub\.example\r\nMAIL FROM:<s@me\.example>\r\n/);
    assert.match(server.messages[0]!, /^DKIM-Signature: [\s\S]*\r\n\r\nbody\r\n\.\r\n$/);
  } finally {
    await hub.end();
    await server.close();
    removeHome(home);
  }
});
