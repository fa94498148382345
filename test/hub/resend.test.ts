// What has bounced is sent again: from the copy that the hub keeps, to whom it had failed for, or to somebody else.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, makeHome, readMailbox, removeHome, submit } from '../support/hub-process.ts';
import { miniQmail, untilTold } from '../support/mini-qmail.ts';

const MESSAGE = 'Subject: x\n\nbody\n';

describe('mini-qmail queue resend', () => {
  let home: string;
  let hub: HubProcess;
  let smarthost: ScriptedServer;
  let isRefusing = true;
  before(async () => {
    const good = agree();
    smarthost = await ScriptedServer.start((input) =>
      isRefusing && input?.startsWith('RCPT') === true && input.includes('gone')
        ? '550 no such user\r\n'
        : good(input),
    );
    home = makeHome({ smtproutes: `:127.0.0.1:${smarthost.port}\n`, locals: 'hub.example\n' });
    hub = await HubProcess.start(home);
  });
  after(async () => {
    await hub.end('SIGKILL');
    await smarthost.close();
    removeHome(home);
  });
  const queue = (...words: string[]) => miniQmail('queue', ...words, '--home', home);
  const bounce = async (...to: string[]) => {
    isRefusing = true;
    const reply = await submit(hub.port, MESSAGE, 'ann@hub.example', ...to);
    const id = /qp (\d+)$/.exec(reply)?.[1] ?? assert.fail(reply);
    await hub.untilLogged(new RegExp(`bounce id=${id} bounceId=\\d+`));
    await untilListed(id);
    isRefusing = false;
    return id;
  };
  const untilListed = async (id: string) => {
    while (!(await queue('ls', '--bounced')).stdout.includes(`#${id} `));
  };

  it('sends to those alone for whom it had failed, ties both messages together, and forgets the copy', async () => {
    const id = await bounce('ok@far.example', 'gone@far.example');
    const kept = JSON.parse((await queue('ls', '--bounced', '--json')).stdout);
    assert.deepEqual(
      [kept.id, kept.sender, kept.recipients.map(({ address }: { address: string }) => address)],
      [Number(id), 'ann@hub.example', ['gone@far.example']],
    );
    assert.match(
      (await queue('show', id)).stdout,
      /bounced\n {2}remote\tgone@far\.example\tfailed: .*550 no/,
    );
    assert.ok((await queue('cat', id)).stdout.endsWith(MESSAGE));
    await untilTold(home, id, /bounced, and kept: mini-qmail queue resend \d+ sends it again\n$/);
    const sent = smarthost.messages.length;
    const { stdout } = await queue('resend', id);
    const newId =
      /1 left {2}queued anew as #(\d+)\n1 queued anew\n$/.exec(stdout)?.[1] ?? assert.fail(stdout);
    await hub.untilLogged(new RegExp(`delivery\\.success id=${newId} .*recipient=gone@far\\.example`));
    assert.equal(smarthost.messages.length, sent + 1);
    assert.match(
      smarthost.messages.at(-1)!,
      new RegExp(`invoked for resend of message ${id}\\)[^]*body\r\n`),
    );
    assert.equal((await queue('ls', '--bounced')).stdout, '');
    await untilTold(home, id, new RegExp(`operator: resend, done, in message ${newId}\\n`));
    await untilTold(home, newId, new RegExp(`queued anew by an operator, of message ${id} that had bounced`));
    const { counters } = JSON.parse((await queue('stats', '--json')).stdout);
    assert.deepEqual([counters.keptBounced, counters.resent, counters.bounced], [1, 1, 1]);
  });

  it('sends to another address with --to, keeps the copy over a kill, and a dry run changes nothing', async () => {
    const id = await bounce('gone2@far.example');
    await hub.end('SIGKILL');
    hub = await HubProcess.start(home);
    assert.match((await queue('resend', '--all', '--dry-run')).stdout, /\n1 selected\n$/);
    await queue('resend', '--recipient', '@far.example', '--to', 'joe@hub.example');
    await hub.untilLogged(/delivery\.success .*channel=local recipient=joe@hub\.example/);
    assert.equal(readMailbox(home, 'hub.example', 'joe').length, 1);
    assert.equal((await queue('show', id)).status, 111);
  });

  it('works without a hub, which delivers when it starts', async () => {
    const id = await bounce('gone3@far.example');
    await hub.end();
    assert.match((await queue('ls', '--bounced')).stdout, new RegExp(`#${id} `));
    assert.match((await queue('resend', id)).stdout, /\n1 queued anew\n$/);
    await untilTold(home, id, /operator: resend, done, in message/);
    hub = await HubProcess.start(home);
    await hub.untilLogged(/delivery\.success .*recipient=gone3@far\.example/);
    assert.deepEqual(readdirSync(join(home, 'bounced')), []);
  });
});

it('control/bouncedlifetime 0 keeps nothing, and a notice that fails is never kept', async () => {
  for (const control of [{ bouncedlifetime: '0\n' }, {}]) {
    const home = makeHome({ ...control, recipients: 'postmaster@hub.example\n' });
    const hub = await HubProcess.start(home);
    try {
      const sender = 'bouncedlifetime' in control ? 'postmaster@hub.example' : '';
      await submit(hub.port, MESSAGE, sender, 'nobody@hub.example');
      await hub.untilLogged(/delivery\.success .*recipient=postmaster@hub\.example/);
      assert.equal(existsSync(join(home, 'bounced')), false);
    } finally {
      await hub.end();
      removeHome(home);
    }
  }
});
