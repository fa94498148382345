// What a running hub can be told by signals, and in which forms it tells what it does.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createLineLog } from '../../src/host/log.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { Hub } from '../../src/hub/hub.ts';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';
import { untilPutOff } from '../support/until-put-off.ts';

const MESSAGE = 'Subject: x\n\nhello\n';

function routesTo(port: number): { smtproutes: string } {
  return { smtproutes: `:127.0.0.1:${port}\n` };
}

describe('signals of a hub', () => {
  it('ALRM makes it try at once what waits for a later attempt', async () => {
    let refusals = 1;
    const good = agree();
    const server = await ScriptedServer.start((input) =>
      input?.startsWith('MAIL') && refusals-- > 0 ? '451 later\r\n' : good(input),
    );
    const home = makeHome(routesTo(server.port));
    const hub = await HubProcess.start(home);
    try {
      await submit(hub.port, MESSAGE, 'a@b.example', 'x@remote.example');
      await hub.untilLogged(/delivery\.deferral id=1 .*: 451 later/);
      await untilPutOff(home);
      process.kill(hub.pid, 'SIGALRM');
      await hub.untilLogged(/delivery\.success id=1 /);
      assert.match(hub.log.text, /^hub\.alarm$/m);
      assert.equal(await hub.end(), 0);
    } finally {
      await hub.end('SIGKILL');
      await server.close();
      removeHome(home);
    }
  });

  it('HUP makes it read who is local and who may connect, all or nothing', async () => {
    const home = makeHome({ locals: 'old.example\n', concurrencyremote: '0\n' });
    const control = (name: string, content: string) => writeFileSync(join(home, 'control', name), content);
    const hub = await HubProcess.start(home);
    try {
      control('locals', 'new.example\n');
      control('qmqpclients', 'nonsense\n');
      process.kill(hub.pid, 'SIGHUP');
      await hub.untilLogged(/hub\.hangup .*nothing has changed.*qmqpclients/);
      await submit(hub.port, MESSAGE, 'a@b', 'one@old.example');
      await hub.untilLogged(/delivery\.success .*channel=local recipient=one@old\.example/);

      control('qmqpclients', '192.0.2.0/24\n');
      control('virtualdomains', 'virtual.example:joe\n');
      process.kill(hub.pid, 'SIGHUP');
      await hub.untilLogged(/hub\.hangup .*are read again/);
      await submit(hub.port, MESSAGE, 'a@b', 'two@new.example', 'three@virtual.example');
      await hub.untilLogged(/delivery\.success .*recipient=two@new\.example/);
      await hub.untilLogged(/delivery\.\w+ .*channel=local recipient=joe-three@virtual\.example/);
    } finally {
      await hub.end('SIGKILL');
      removeHome(home);
    }
  });

  it('TERM lets a delivery run for ten seconds, then leaves it in the queue', async () => {
    const reached = Promise.withResolvers<void>();
    const good = agree();
    const server = await ScriptedServer.start((input) => {
      if (!input?.startsWith('RCPT')) return good(input);
      reached.resolve();
      return 'HANG';
    });
    const home = makeHome(routesTo(server.port));
    const clock = new ManualClock(Date.now());
    const log = createLineLog(() => undefined);
    const hub = await Hub.start({ home, qmqp: { host: '127.0.0.1', port: 0 }, clock, log });
    try {
      await submit(hub.qmqp.port, MESSAGE, 'a@b.example', 'x@remote.example');
      await reached.promise;
      const stopped = hub.stop();
      clock.advance(9_999);
      const first = await Promise.race([stopped, new Promise((resolve) => setImmediate(resolve, 'runs'))]);
      assert.equal(first, 'runs');
      clock.advance(1);
      assert.equal(await stopped, false);
      assert.deepEqual(hub.stats(), { ...hub.stats(), messages: 1, accepted: 1, finished: 0 });
      assert.equal(await secondHubLists(home), '');
    } finally {
      await server.close();
      removeHome(home);
    }
  });
});

/** A queue that another hub has given up only when its process ends is not to be had. */
async function secondHubLists(home: string): Promise<string> {
  const child = spawn(join(ROOT, 'bin/qmail-qstat'), {
    env: { QMAILHOME: home },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  await once(child, 'close');
  return text;
}

describe('forms of the log of a hub', () => {
  /** Everything that a hub tells while it delivers one message, and one that nobody takes. */
  async function logOf(...words: string[]): Promise<string> {
    const server = await ScriptedServer.start((input) =>
      input?.startsWith('RCPT') ? '550 no\r\n' : agree()(input),
    );
    const home = makeHome({ locals: 'hub.example\n', ...routesTo(server.port) });
    const args = ['hub', '--home', home, '--qmqp', '127.0.0.1:0', ...words];
    const child = spawn(join(ROOT, 'bin/mini-qmail'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const heard = Promise.withResolvers<void>();
    child.stderr.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
      if (/success[\s\S]*success/.test(text)) heard.resolve();
    });
    try {
      const [line] = await once(child.stdout, 'data');
      const port = Number(/:(\d+)\n/.exec(String(line))?.[1]);
      await submit(port, MESSAGE, 'joe@hub.example', 'joe@hub.example', 'x@remote.example');
      await heard.promise;
      child.kill();
      assert.deepEqual(await once(child, 'close'), [0, null]);
      return text;
    } finally {
      child.kill('SIGKILL');
      await server.close();
      removeHome(home);
    }
  }

  it('--log qmail has the lines of qmail-send', async () => {
    const lines = (await logOf('--log', 'qmail')).split('\n');
    assert.equal(lines[0], 'status: local 0/10 remote 0/20');
    const own = (pattern: RegExp) => lines.filter((line) => pattern.test(line));
    assert.match(own(/^info msg 1:/)[0]!, /^info msg 1: bytes \d+ from <joe@hub\.example> qp 1 uid \d+$/);
    assert.ok(
      lines.indexOf('new msg 1') <
        lines.findIndex((line) => line.startsWith('starting delivery 1: msg 1 to ')),
    );
    assert.equal(
      own(/^starting delivery \d: msg 1 to (?:local joe@hub|remote x@remote)\.example$/).length,
      2,
    );
    assert.equal(own(/^delivery \d: success: did_1\+0\+0\/$/).length, 2);
    assert.match(own(/: failure: /)[0]!, /^delivery \d: failure: 127\.0\.0\.1_does_not_like_recipient\./);
    const [bounce, end] = [lines.indexOf('bounce msg 1 qp 2'), lines.indexOf('end msg 1')];
    assert.ok(bounce > 0 && end > bounce);
    assert.match(own(/^info msg 2:/)[0]!, /^info msg 2: bytes \d+ from <> qp 2 uid \d+$/);
    assert.deepEqual(lines.slice(-2), ['status: exiting', '']);
  });

  it('--log json has an object for each event', async () => {
    const events = (await logOf('--log', 'json'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const { time } of events) assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/);
    const names = events.map(({ event }) => event);
    for (const name of [
      'hub.started',
      'accepted',
      'delivery.start',
      'delivery.failure',
      'bounce',
      'message.end',
    ])
      assert.ok(names.includes(name), name);
    const failure = events.find(({ event }) => event === 'delivery.failure');
    assert.equal(failure.recipient, 'x@remote.example');
    assert.equal(failure.id, 1);
  });

  it('the usual one has neither the start of a delivery nor the end of a message', async () => {
    const text = await logOf();
    assert.match(text, /^delivery\.failure /m);
    assert.doesNotMatch(text, /delivery\.start|message\.end/);
  });
});
