// control/destinations of a running hub: mail that is held back, and let go by a hangup.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';

test('mail for a suspended destination waits until control/destinations is read again', async () => {
  const smarthost = await ScriptedServer.start(agree());
  const home = makeHome({
    smtproutes: `:127.0.0.1:${smarthost.port}\n`,
    destinations: '127.0.0.1:suspend\n',
  });
  const hub = await HubProcess.start(home);
  try {
    await submit(hub.port, 'x\n', 'joe@hub.example', 'ann@far.example', 'joe@hub.example');
    await hub.untilLogged(/delivery\.success .*joe@hub\.example/);
    assert.deepEqual(smarthost.messages, []);
    writeFileSync(`${home}/control/destinations`, '127.0.0.1:suspend,sometimes\n');
    process.kill(hub.pid, 'SIGHUP');
    await hub.untilLogged(/hub\.hangup .*nothing has changed.*sometimes/);
    assert.deepEqual(smarthost.messages, []);
    writeFileSync(`${home}/control/destinations`, '127.0.0.1:rate=100/s\n');
    process.kill(hub.pid, 'SIGHUP');
    await hub.untilLogged(/delivery\.success .*ann@far\.example/);
    assert.equal(smarthost.messages.length, 1);
  } finally {
    await hub.end('SIGKILL');
    await smarthost.close();
    removeHome(home);
  }
});
