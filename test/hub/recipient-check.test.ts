// Unknown recipients at RCPT time: a gateway that asks its hub, what it does when the hub is gone, and what the hub itself does
// with their mail.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { HubProcess, makeHome, readMailbox, removeHome, submit } from '../support/hub-process.ts';
import { SmtpClient } from '../support/smtp-client.ts';

const UNKNOWN = '550 sorry, no mailbox here by that name (#5.1.1)';

let home: string;
let hub: HubProcess;
let gateway: Gateway;
let client: SmtpClient;

before(async () => {
  home = makeHome({ locals: 'hub.example\n', recipients: 'ann@hub.example\nsender@hub.example\n' });
  hub = await HubProcess.start(home, undefined, 0, ['--check', '127.0.0.1:0']);
  gateway = await startGateway([hub.port], { rcptcheck: `inet:127.0.0.1:${hub.checkPort}:recipient\n` });
  client = await SmtpClient.connect(gateway.port);
});
after(async () => {
  client.close();
  await gateway.stop();
  await hub.end('SIGKILL');
  removeHome(home);
});

/** Replies to RCPT in a new transaction. */
async function recipients(...addresses: string[]): Promise<string[]> {
  await client.command('MAIL FROM:<sender@hub.example>');
  const replies: string[] = [];
  for (const address of addresses) replies.push(await client.command(`RCPT TO:<${address}>`));
  return replies;
}

it('refuses an unknown recipient and takes mail for the others', async () => {
  const replies = await recipients(
    'eve@hub.example',
    'ann@hub.example',
    'any@far.example',
    'postmaster@hub.example',
  );
  assert.deepEqual(replies, [UNKNOWN, '250 ok', '250 ok', '250 ok']);
  await recipients('eve@hub.example', 'ANN@hub.example');
  assert.equal(await client.command('DATA'), '354 go ahead');
  assert.match(await client.command('Subject: x\r\n\r\nhello\r\n.'), /^250 ok \d+ qp \d+$/);
  await hub.untilLogged(/^delivery\.success .*ANN@hub/m);
  assert.equal(readMailbox(home, 'hub.example', 'ANN').length, 1);
});

it('asks in a session of its own too', () => {
  const input = 'MAIL FROM:<s@a>\r\nRCPT TO:<eve@hub.example>\r\nRCPT TO:<ann@hub.example>\r\nQUIT\r\n';
  const env = { QMAILHOME: gateway.home };
  const { stdout, status } = spawnSync(join(ROOT, 'bin/qmail-smtpd'), { input, env, encoding: 'latin1' });
  assert.deepEqual([status, ...stdout.split('\r\n').slice(2, 4)], [0, UNKNOWN, '250 ok']);
});

it('returns mail that comes for an unknown recipient on another way', async () => {
  assert.match(await submit(hub.port, 'Subject: y\n\n', 'sender@hub.example', 'eve@hub.example'), /^Kok/);
  await hub.untilLogged(/^delivery\.failure .*eve@hub\.example text="Sorry, no mailbox here by that name/m);
  await hub.untilLogged(/^delivery\.success .*sender@hub\.example/m);
  assert.deepEqual(readMailbox(home, 'hub.example', 'eve'), []);
});

it('without the hub knows what it knew, accepts all else and leaves the rest to the queue, or refuses it for now', async () => {
  assert.equal(await hub.end(), 0);
  assert.deepEqual(await recipients('eve@hub.example', 'bob@hub.example'), [UNKNOWN, '250 ok']);
  assert.equal(await client.command('DATA'), '354 go ahead');
  assert.match(await client.command('.'), /^451 /);
  const rcptcheck = readFileSync(join(gateway.home, 'control/rcptcheck'), 'latin1');
  const closed = await startGateway([hub.port], { rcptcheck, rcptcheckfail: 'closed\n' });
  const other = await SmtpClient.connect(closed.port);
  await other.command('MAIL FROM:<sender@hub.example>');
  const reply = await other.command('RCPT TO:<ann@hub.example>');
  other.close();
  await closed.stop();
  assert.equal(reply, '451 unable to check recipients at the moment (#4.4.3)');
});
