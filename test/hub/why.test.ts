// `mini-qmail why` after a life of a message with everything in it: deferral, refusal, bounce, an outcome that nobody knows, an
// operator, a restart; and addresses that would like to write the answer themselves.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { agree, type Reply, ScriptedServer } from '../delivery/smtp-server.ts';
import { makeCertificate } from '../support/certificate.ts';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';

const AGREED = agree('STARTTLS');

/** Refuses and defers some, and leaves without a word when it has a message about a cut. */
const REPLY: Reply = (input) => {
  if (input?.startsWith('RCPT') && input.includes('gone@')) return '550 no such user\r\n';
  if (input?.startsWith('RCPT') && input.includes('slow@')) return '450 \x1b[2Jlater\r\n';
  return input?.includes('Subject: cut') ? null : AGREED(input);
};

function why(home: string, ...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    join(ROOT, 'bin/mini-qmail'),
    ['why', '--home', home, ...words],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

describe('mini-qmail why', () => {
  let home: string;
  let hub: HubProcess;
  let smarthost: ScriptedServer;
  let id: string;
  before(async () => {
    const { key, cert, remove } = makeCertificate('far.example');
    remove();
    smarthost = await ScriptedServer.start(REPLY, { key: key.toString(), cert: cert.toString() });
    home = makeHome({ smtproutes: `:127.0.0.1:${smarthost.port}\n` });
    hub = await HubProcess.start(home);
    const reply = await submit(
      hub.port,
      'Subject: x\nMessage-ID: <one@hub.example>\n\nbody\n',
      'joe@hub.example',
      'ann@far.example',
      'gone@far.example',
      'slow@far.example',
    );
    id = /qp (\d+)$/.exec(reply)![1]!;
    await hub.untilLogged(/delivery\.deferral .*slow@far/);
    const { status } = spawnSync(join(ROOT, 'bin/mini-qmail'), ['queue', 'bounce', '--home', home, id]);
    assert.equal(status, 0);
    await hub.untilLogged(/delivery\.success .*recipient=joe@hub\.example/);
  });
  after(async () => {
    await hub.end('SIGKILL');
    await smarthost.close();
    removeHome(home);
  });

  it('tells the life of a message by number, address and Message-ID, over a restart', async () => {
    await hub.end();
    hub = await HubProcess.start(home);
    const { stdout, stderr } = why(home, id);
    assert.equal(stderr, '');
    for (const line of [
      /^message \d+\n {2}[-\dT:.]+Z {2}accepted from 127\.0\.0\.1, sender <joe@hub\.example>, 3 recipients, \d+ bytes, Message-ID <one@hub\.example>\n/,
      /delivered to <ann@far\.example>, by 127\.0\.0\.1 \(TLSv1\.3\): 127\.0\.0\.1 accepted message/,
      /failed for good for <gone@far\.example>, by .*550 no such user/,
      /failed for now for <slow@far\.example>, by .*450 .*; next attempt \d{4}-/,
      /operator: bounce, done\n/,
      /failed for good for <slow@far\.example>: The administrator/,
      /returned to <joe@hub\.example>, in message \d+\n {2}bounced, and kept: mini-qmail queue resend \d+ sends it again\n$/,
    ])
      assert.match(stdout, line);
    for (const word of ['joe@hub.example', 'gone@far.example', 'one@hub.example', '<one@hub.example>'])
      assert.ok(why(home, word).stdout.includes(stdout), word);
    assert.ok(!stdout.includes('\x1b'));
  });

  it('tells of a notice which message it is about', () => {
    const number = /in message (\d+)/.exec(why(home, id).stdout)![1]!;
    const { stdout } = why(home, number);
    assert.match(stdout, new RegExp(`queued as the notice about message ${id}\\n`));
    assert.match(stdout, /delivered to <joe@hub\.example>/);
  });

  it('marks an outcome that nobody knows, and tells what is still in the queue', async () => {
    await submit(hub.port, 'Subject: cut\n\nbody\n', 'joe@hub.example', 'cut@far.example');
    await hub.untilLogged(/delivery\.deferral .*cut@far\.example .*unknown="may arrive twice"/);
    await hub.end();
    hub = await HubProcess.start(home);
    const { stdout } = why(home, 'cut@far.example');
    assert.match(stdout, /for <cut@far\.example>.*; outcome unknown: it may arrive twice; next attempt/);
    assert.match(stdout, /\n {2}in the queue, left: <cut@far\.example>; next attempt \d{4}-/);
    const [event] = JSON.parse(why(home, 'cut@far.example', '--json').stdout).events;
    assert.equal(event.event, 'accepted');
  });

  it('lets no address write a line of its own', async () => {
    const evil = 'x\n  2026-01-01T00:00:00.000Z  delivered to <y>\x1b[1m@far.example';
    const reply = await submit(hub.port, 'Subject: x\n\n', evil, 'ann@hub.example');
    await hub.untilLogged(/delivery\.success .*ann@hub/);
    await hub.end();
    hub = await HubProcess.start(home);
    const { stdout } = why(home, /qp (\d+)$/.exec(reply)![1]!);
    assert.match(stdout, /sender <x\? {2}2026.*\?\[1m@far\.example>/);
    assert.equal(stdout.split('\n').length, 5);
  });

  it('says when nothing is known', () => {
    const { status, stderr } = why(home, 'nobody@nowhere.example');
    assert.equal(status, 111);
    assert.match(stderr, /Nothing is known of nobody@nowhere\.example/);
  });
});

it('control/eventlifetime 0 keeps no events', async () => {
  const home = makeHome({ eventlifetime: '0\n' });
  const hub = await HubProcess.start(home);
  await submit(hub.port, 'Subject: x\n\n', 'a@b', 'ann@hub.example');
  await hub.untilLogged(/delivery\.success/);
  await hub.end();
  assert.equal(existsSync(join(home, 'events')), false);
  removeHome(home);
});
