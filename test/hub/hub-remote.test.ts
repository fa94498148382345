// The hub with a smarthost: what leaves by SMTP, and what comes back as a bounce.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agree, type Reply, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, makeHome, readMailbox, removeHome, submit } from '../support/hub-process.ts';

const MESSAGE = 'From: joe@hub.example\nSubject: out\n\n.dot\n..\nend\n';

/** A hub whose remote mail goes to a scripted server, for one check. */
async function withSmarthost(
  reply: Reply,
  check: (hub: HubProcess, home: string, smarthost: ScriptedServer) => Promise<void>,
): Promise<void> {
  const smarthost = await ScriptedServer.start(reply);
  const home = makeHome({ smtproutes: `:127.0.0.1:${smarthost.port}\n` });
  const hub = await HubProcess.start(home);
  try {
    await check(hub, home, smarthost);
  } finally {
    await hub.end('SIGKILL');
    await smarthost.close();
    removeHome(home);
  }
}

/** Refuses recipients at one domain with the reply, and agrees to everything else. */
function refusing(domain: string, reply: string): Reply {
  const agreed = agree();
  return (input) => (input?.startsWith('RCPT') && input.includes(domain) ? reply : agreed(input));
}

describe('mini-qmail hub with a smarthost', () => {
  it('sends remote mail there, dots stuffed, all on one connection', () =>
    withSmarthost(agree(), async (hub, _home, smarthost) => {
      for (let i = 1; i <= 3; i++) {
        await submit(hub.port, MESSAGE, 'joe@hub.example', `r${i}@far.example`);
        await hub.untilLogged(new RegExp(`delivery\\.success .*r${i}@far\\.example`));
      }
      assert.equal(smarthost.received.length, 1);
      assert.equal(smarthost.messages.length, 3);
      for (const message of smarthost.messages) {
        assert.match(
          message,
          /^Received: from unknown \(127\.0\.0\.1\)\r\n {2}by hub\.example with QMQP; .*\r\n/,
        );
        assert.ok(message.includes('\r\nSubject: out\r\n\r\n..dot\r\n...\r\nend\r\n'));
      }
    }));

  it('returns a message to its sender when a recipient is refused, and delivers it to the others', () =>
    withSmarthost(refusing('gone.example', '550 no such user\r\n'), async (hub, home, smarthost) => {
      await submit(hub.port, MESSAGE, 'joe@hub.example', 'nobody@gone.example', 'ann@far.example');
      await hub.untilLogged(/delivery\.success .*recipient=joe@hub\.example/);
      assert.equal(smarthost.messages.length, 1);
      const [bounce] = readMailbox(home, 'hub.example', 'joe');
      assert.match(
        bounce!,
        /^Return-Path: <>\nDelivered-To: joe@hub\.example\nReceived: \(qmail \d+ invoked for bounce\); /,
      );
      assert.match(
        bounce!,
        /\nFrom: MAILER-DAEMON@hub\.example\nTo: joe@hub\.example\nSubject: failure notice\nMessage-ID: .*\nContent-Type: multipart\/report; .*\n\nHi\. This is the qmail-send program at hub\.example\.\n/s,
      );
      assert.match(
        bounce!,
        /\n<nobody@gone\.example>:\n127\.0\.0\.1 does not like recipient\.\nRemote host said: 550 no such user\nGiving up on 127\.0\.0\.1\.\n\n--- Below this line is a copy of the message\.\n\n/,
      );
      assert.match(
        bounce!,
        /\nFinal-Recipient: rfc822; nobody@gone\.example\nAction: failed\nStatus: 5\.0\.0\nRemote-MTA: dns; \[127\.0\.0\.1\]\nDiagnostic-Code: smtp; 550 no such user\n/,
      );
      assert.match(bounce!, /\n\nReturn-Path: <joe@hub\.example>\n/);
      assert.match(bounce!, new RegExp(`${MESSAGE}\n--=_report-[0-9a-f]+--\n$`));
    }));

  it('keeps what is refused for now, and shows when it is tried again', () =>
    withSmarthost(refusing('busy.example', '450 later\r\n'), async (hub, home, smarthost) => {
      await submit(hub.port, MESSAGE, 'joe@hub.example', 'ann@busy.example');
      await hub.untilLogged(/delivery\.deferral .*ann@busy\.example/);
      await hub.end('SIGTERM');
      // The schedule survives a restart: nothing is tried at once.
      const again = await HubProcess.start(home);
      await submit(again.port, MESSAGE, 'joe@hub.example', 'bob@far.example');
      await again.untilLogged(/delivery\.success .*bob@far\.example/);
      assert.doesNotMatch(again.log.text, /busy\.example/);
      assert.equal(await again.end('SIGTERM'), 0);
      assert.match(again.log.text, /hub\.stopped messages=1 /);
      assert.equal(smarthost.messages.length, 1);
    }));
});
