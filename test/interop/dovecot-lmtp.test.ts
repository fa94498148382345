// The hub in front of Dovecot: local mail by LMTP on a socket, each recipient with Dovecot's own answer, and the message in
// its Maildir with every byte that it had.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BODIES, messageOf, storedOf } from '../support/bodies.ts';
import { type Dovecot, missingDovecot, startDovecot } from '../support/dovecot.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';

const QUOTA = 'quota_rule=*:bytes=3000';
const BIG = `From: joe@far.example\nSubject: big\n\n${'too much\n'.repeat(1000)}`;

describe("Dovecot's LMTP server, to which the hub gives", { skip: missingDovecot() }, () => {
  let dovecot: Dovecot;
  let home: string;
  let hub: HubProcess;

  before(async () => {
    dovecot = await startDovecot({
      'known@hub.example': {},
      'sender@hub.example': {},
      'known@routed.example': {},
      'full@routed.example': { fields: [QUOTA] },
      'later@routed.example': { fields: [QUOTA, 'quota_full_tempfail=yes'] },
    });
    home = makeHome({
      locals: 'hub.example\n',
      locallmtp: `${dovecot.lmtp}\n`,
      smtproutes: `routed.example:lmtp:${dovecot.lmtp}\n`,
    });
    hub = await HubProcess.start(home);
  });
  after(async () => {
    await hub?.end('SIGKILL');
    await dovecot?.stop();
    removeHome(home);
  });

  it('local mail, has it with every byte', async () => {
    for (const name of Object.keys(BODIES))
      assert.match(await submit(hub.port, messageOf(name), 'joe@far.example', 'known@hub.example'), /^K/);
    await hub.untilLogged(
      /delivery\.success .*recipient=known@hub\.example text="\S+lmtp accepted message\./,
      Object.keys(BODIES).length,
    );
    const stored = dovecot.messagesOf('known@hub.example');
    assert.equal(stored.length, Object.keys(BODIES).length);
    for (const name of Object.keys(BODIES)) {
      const message = stored.find((text) => text.includes(`\nSubject: ${name}\n`)) ?? '';
      assert.equal(message.slice(message.indexOf('From: joe')), storedOf(name), name);
      assert.match(
        message,
        /^Return-Path: <joe@far\.example>\nDelivered-To: known@hub\.example\nReceived: from hub\.example\n/,
      );
    }
  });

  it('a message for four at once, answers for each: taken, unknown, too full, too full for now', async () => {
    const recipients = ['known', 'no', 'full', 'later'].map((local) => `${local}@routed.example`);
    assert.match(await submit(hub.port, BIG, 'sender@hub.example', ...recipients), /^K/);
    const outcomes = [
      /delivery\.success .*known@routed\.example text="\S+lmtp accepted message\.\/Remote host said: 250 2\.0\.0 /,
      /delivery\.failure .*no@routed\.example text="\S+lmtp does not like recipient\.\/Remote host said: 550 5\.1\.1 /,
      /delivery\.failure .*full@routed\.example text="\S+lmtp failed after I sent the message\.\/Remote host said: 552 5\.2\.2 /,
      /delivery\.deferral .*later@routed\.example text="\S+lmtp failed after I sent the message\.\/Remote host said: 452 4\.2\.2 /,
    ];
    for (const outcome of outcomes) await hub.untilLogged(outcome);
    assert.equal(dovecot.messagesOf('known@routed.example').length, 1);
    for (const local of ['no', 'full', 'later'])
      assert.deepEqual(dovecot.messagesOf(`${local}@routed.example`), []);
  });

  it('a notice of what Dovecot has refused, for the sender who has a mailbox there', async () => {
    await submit(hub.port, BIG, 'sender@hub.example', 'nobody@routed.example', 'full@routed.example');
    await hub.untilLogged(/delivery\.success .*recipient=sender@hub\.example/);
    const [notice = '', ...more] = dovecot.messagesOf('sender@hub.example');
    assert.deepEqual(more, []);
    assert.match(notice, /^Return-Path: <(?:MAILER-DAEMON)?>\n/);
    assert.match(notice, /\n<nobody@routed\.example>:\n.*\nRemote host said: 550 5\.1\.1 /);
    assert.match(notice, /\n<full@routed\.example>:\n.*\nRemote host said: 552 5\.2\.2 /);
    assert.ok(notice.includes('too much\n'.repeat(1000)));
  });
});
