// Mail that goes another way than its routes said: by an order, for the messages that it names, and by a change of
// control/smtproutes, for all; with the hub running, killed and down.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';
import { miniQmail, untilTold } from '../support/mini-qmail.ts';

/** A port that refuses connections. */
async function findClosedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('mail whose smarthost is dead', () => {
  let home: string;
  let hub: HubProcess;
  let dead: string;
  let other: ScriptedServer;
  before(async () => {
    other = await ScriptedServer.start(agree());
  });
  after(() => other.close());
  beforeEach(async () => {
    dead = `127.0.0.1:${await findClosedPort()}`;
    home = makeHome({ smtproutes: `:${dead}\n` });
    hub = await HubProcess.start(home);
  });
  afterEach(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
  });
  const queue = (...words: string[]) => miniQmail('queue', ...words, '--home', home);
  /** A message that was tried in vain. */
  const send = async (...to: string[]) => {
    const reply = await submit(hub.port, 'Subject: x\n\nbody\n', 'ann@b.example', ...to);
    const id = /qp (\d+)$/.exec(reply)?.[1] ?? assert.fail(reply);
    await hub.untilLogged(new RegExp(`delivery\\.deferral id=${id} `), to.length);
    return id;
  };

  it('goes by the relay that an order names, at once, and the rest stays as it is', async () => {
    const id = await send('one@far.example', 'two@near.example');
    const rest = await send('one@rest.example');
    const route = `127.0.0.1:${other.port}`;
    const { stdout } = await queue('reroute', '--recipient', '@far.example', '--to', route);
    assert.match(stdout, /2 left {2}sent another way\n1 sent another way\n$/);
    await hub.untilLogged(new RegExp(`delivery\\.success id=${id} `), 2);
    assert.match((await queue('show', rest)).stdout, /one@rest\.example\tnext \d{4}-/);
    await untilTold(home, 'two@near.example', new RegExp(`operator: reroute to ${route}, done\\n`));
    assert.match((await queue('stats', '--json')).stdout, /"delivered":2,"deferred":3,"failed":0,/);
  });

  it('keeps its way over a kill of the hub, and --clear ends that, with the hub down', async () => {
    const id = await send('one@far.example');
    const route = `127.0.0.1:${await findClosedPort()}`;
    await queue('hold', id);
    assert.match((await queue('reroute', id, '--to', route)).stdout, /1 sent another way\n$/);
    await hub.end('SIGKILL');
    hub = await HubProcess.start(home);
    const shown = JSON.parse((await queue('show', id, '--json')).stdout);
    assert.deepEqual([shown.route, shown.held], [route, true]);
    await hub.end();
    assert.match((await queue('reroute', id, '--clear')).stdout, /1 sent another way\n$/);
    writeFileSync(join(home, 'control/smtproutes'), `:127.0.0.1:${other.port}\n`);
    hub = await HubProcess.start(home);
    assert.equal(JSON.parse((await queue('show', id, '--json')).stdout).route, undefined);
    await queue('release', id);
    await hub.untilLogged(new RegExp(`delivery\\.success id=${id} `));
  });

  it('goes by the new routes after a hangup, also what waits for the old relay to be resumed', async () => {
    const tried = await send('one@far.example');
    // Never tried, and not to be: it waits where nothing is handed out.
    writeFileSync(join(home, 'control/destinations'), '127.0.0.1:suspend\n');
    process.kill(hub.pid, 'SIGHUP');
    await hub.untilLogged(/hub\.hangup .*read again/);
    await submit(hub.port, 'Subject: y\n\n', 'ann@b.example', 'two@far.example');
    const slow = await ScriptedServer.start(agree());
    writeFileSync(join(home, 'control/smtproutes'), `:[127.0.0.1]:${slow.port}\nnear.example:${dead}\n`);
    process.kill(hub.pid, 'SIGHUP');
    await hub.untilLogged(/queue\.regrouped messages=2/);
    await hub.untilLogged(/delivery\.success .*recipient=two@far\.example/);
    await queue('retry', tried);
    await hub.untilLogged(new RegExp(`delivery\\.success id=${tried} `));
    await slow.close();
  });

  it('a mistake in the order changes nothing', async () => {
    for (const words of [[], ['--to', 'a', '--clear']]) {
      const { status, stderr } = await queue('reroute', '--all', ...words);
      assert.equal(status, 100);
      assert.match(stderr, /Give either --to or --clear/);
    }
  });
});
