// Notices from end to end: what a client asks by SMTP comes back to its mailbox from the running hub, and goes on to a server
// that offers to tell.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { agree, type Reply, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { asQmailNotice, readGroups, readPart, readQsbmf, readReportParts } from '../support/report-parts.ts';
import { SmtpClient } from '../support/smtp-client.ts';

const MESSAGE = 'Message-ID: <1@hub.example>\r\nSubject: out\r\n\r\nbody\r\n.';

async function withHub(
  reply: Reply,
  control: Readonly<Record<string, string>>,
  check: (hub: HubProcess, home: string, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  const server = await ScriptedServer.start(reply);
  const home = makeHome({ smtproutes: `:127.0.0.1:${server.port}\n`, ...control });
  const hub = await HubProcess.start(home, undefined, 0, ['--smtp', '127.0.0.1:0']);
  try {
    await check(hub, home, server);
  } finally {
    await hub.end('SIGKILL');
    await server.close();
    removeHome(home);
  }
}

async function send(hub: HubProcess, ...recipients: string[]): Promise<void> {
  const client = await SmtpClient.connect(hub.smtpPort);
  await client.command('MAIL FROM:<joe@hub.example> ENVID=E+2B1');
  for (const recipient of recipients) assert.match(await client.command(`RCPT TO:${recipient}`), /^250/);
  await client.command('DATA');
  assert.match(await client.command(MESSAGE), /^250/);
  client.close();
}

/** A report as it was delivered, without what delivery put above it. */
function reportOf(stored: string): string {
  return stored.slice(stored.indexOf('Date: '));
}

function actionsOf(stored: string): (string | undefined)[] {
  const [, ...groups] = readGroups(readReportParts(reportOf(stored)).status.body);
  return groups.map((fields) =>
    ['original-recipient', 'action', 'remote-mta'].map((name) => new Map(fields).get(name)).join(' '),
  );
}

describe('notices of mini-qmail hub', () => {
  it('tell a sender that asked what was delivered, relayed and refused', () =>
    withHub(
      (input) => (input?.startsWith('RCPT TO:<gone') ? '550 5.1.1 gone\r\n' : agree()(input)),
      {},
      async (hub, home, server) => {
        await send(
          hub,
          '<joe@hub.example> NOTIFY=SUCCESS ORCPT=rfc822;Joe@hub.example',
          '<far@far.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;far',
          '<gone@far.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;gone',
          '<gone.quiet@far.example> NOTIFY=NEVER',
        );
        // The message itself, and three notices.
        await hub.untilLogged(/delivery\.success .*recipient=joe@/, 4);
        const reports = readMailbox(home, 'hub.example', 'joe').filter((text) =>
          text.includes('multipart/report'),
        );
        assert.deepEqual(reports.flatMap(actionsOf).sort(), [
          'rfc822; Joe@hub.example delivered ',
          'rfc822; far relayed dns; [127.0.0.1]',
          'rfc822; gone failed dns; [127.0.0.1]',
        ]);
        for (const report of reports) assert.match(report, /\nOriginal-Envelope-Id: E\+1\n/);
        assert.ok(server.received.every((text) => !text.includes('NOTIFY')));
        assert.deepEqual(readdirSync(join(home, 'mail/hub.example')), ['joe']);
      },
    ));

  it('leave what a server offers to tell to it', () =>
    withHub(agree('DSN'), {}, async (hub, home, server) => {
      await send(hub, '<far@far.example> NOTIFY=SUCCESS ORCPT=rfc822;far', '<other@far.example>');
      await hub.untilLogged(/delivery\.success .*recipient=other@/);
      const { received } = server;
      assert.match(received[0]!, /\r\nMAIL FROM:<joe@hub\.example> .*ENVID=E\+2B1\r\n/);
      assert.match(
        received[0]!,
        /\r\nRCPT TO:<far@far\.example> NOTIFY=SUCCESS ORCPT=rfc822;far\r\nRCPT TO:<other@far\.example>\r\n/,
      );
      assert.doesNotMatch(hub.log.text, /^notice /m);
      assert.throws(() => readdirSync(join(home, 'mail')));
    }));

  for (const bounceformat of ['report', 'qmail'])
    it(`return a message, with control/bounceformat "${bounceformat}"`, () =>
      withHub(
        (input) => (input?.startsWith('RCPT') ? '550 gone\r\n' : agree()(input)),
        { bounceformat: `${bounceformat}\n` },
        async (hub, home) => {
          await send(hub, '<gone@far.example>');
          await hub.untilLogged(/delivery\.success .*recipient=joe@/);
          const report = reportOf(readMailbox(home, 'hub.example', 'joe')[0]!);
          const notice = bounceformat === 'qmail' ? report : asQmailNotice(readReportParts(report));
          const { fields, body } = readPart(notice);
          assert.equal(fields.length, 4);
          assert.deepEqual(
            readQsbmf(body).map(({ recipient }) => recipient),
            ['gone@far.example'],
          );
          assert.match(
            body,
            /\n\nReturn-Path: <joe@hub\.example>\nReceived: .*\n.*\nMessage-ID: <1@hub\.example>\nSubject: out\n\nbody\n$/,
          );
        },
      ));

  it('need a format that is known', async () => {
    const home = makeHome({ bounceformat: 'xml\n' });
    try {
      await assert.rejects(HubProcess.start(home), /bounceformat/);
    } finally {
      removeHome(home);
    }
  });
});
