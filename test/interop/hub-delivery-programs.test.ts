// Programs in dot-qmail files, as the hub runs them for users of the machine: what they are told, what their exit codes do, and
// a mailing list in the manner of ezmlm, whose posts leave through the queue program and whose bounces come back to it.

import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, submit } from '../support/hub-process.ts';
import { LocalHome, whyNoUser } from '../support/local-home.ts';
import { skipUnless } from '../support/peers.ts';

const DOVECOT_LDA = '/usr/lib/dovecot/dovecot-lda';
const MESSAGE = 'From: ann@far.example\nSubject: x\n\nFrom here\nto the end\n';
/** Exit codes of a first line, and what comes of it. */
const ENDS: readonly [code: string, outcome: string][] = [
  ['0', 'success "before/after/did 0+0+2/"'],
  ['99', 'success "before/did 0+0+1/"'],
  ['100', 'failure before/'],
  ['64', 'failure before/'],
  ['78', 'failure before/'],
  ['112', 'failure before/'],
  ['111', 'deferral before/'],
  ['75', 'deferral before/'],
  ['1', 'deferral before/'],
  ['127', 'deferral before/'],
  ['signal', 'deferral "before/Aack, child crashed. (#4.3.0)/"'],
];

/** A post gets a number and a header field, and goes to each subscriber with a sender of his own. */
const LIST_SEND = `#!/bin/sh
number=$(($(cat number 2>/dev/null || echo 0) + 1))
echo $number > number
{ echo "Mailing-List: contact $LOCAL-help@$HOST"; cat; } > post
{
  printf 'F%s-return-%s-@%s-@[]\\0' "$LOCAL" "$number" "$HOST"
  while read subscriber; do printf 'T%s\\0' "$subscriber"; done < subscribers
  printf '\\0'
} > envelope
exec "$1" < post 1< envelope
`;

/** A notice of the hub's own is for all subscribers of a post whom it could not reach; its paragraphs (QSBMF) name them. */
const LIST_RETURN = `#!/bin/sh
test -z "$SENDER" || exit 100
cat > bounce
grep -q '^Hi. This is the' bounce || exit 100
echo "$DEFAULT $(sed -n 's/^<\\(.*\\)>:$/\\1/p' bounce)" >> bounced
exit 99
`;

describe('a program of a user, run by the hub,', { skip: whyNoUser() ?? false }, () => {
  let home: LocalHome;
  let hub: HubProcess;

  beforeEach(() => {
    home = new LocalHome(['=joe:joe:UID:GID:HOME:::', '+joe-:joe:UID:GID:HOME:-::']);
  });
  afterEach(async () => {
    await hub?.end('SIGKILL');
    home.remove();
  });

  async function outcome(recipient: string): Promise<string> {
    const pattern = new RegExp(
      `delivery\\.((?:success|failure|deferral)) [^\n]*recipient=${recipient} text=(.*?) ms=`,
    );
    await hub.untilLogged(pattern);
    const [, kind, text] = pattern.exec(hub.log.text)!;
    return `${kind} ${text}`;
  }

  it('has the environment of qmail-local, and the message from its beginning', async () => {
    home.put('.qmail-env-default', '|cat > first; env -0 > environment\n|cat > second\n');
    home.put('.qmail-env-One-two-three-owner', '');
    home.put('.qmail-env-one-two-three-owner', '');
    home.put('.qmail-env-one-two-three-owner-default', '');
    hub = await HubProcess.start(home.path);
    const recipient = 'joe-env-One-two-three@hub.example';
    await submit(hub.port, MESSAGE, 'Ann Lee@Far.example', recipient);
    assert.equal(await outcome(recipient), 'success "did 0+0+2/"');
    const variables = home.read('environment').split('\0');
    const variable = (name: string) =>
      variables.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
    const want: Readonly<Record<string, string>> = {
      ...{ SENDER: 'Ann Lee@Far.example', RECIPIENT: recipient, USER: 'joe', HOME: home.folder },
      ...{ LOCAL: 'joe-env-One-two-three', HOST: 'hub.example', HOST2: 'hub', HOST3: 'hub', HOST4: 'hub' },
      ...{ EXT: 'env-One-two-three', EXT2: 'One-two-three', EXT3: 'two-three', EXT4: 'three' },
      DEFAULT: 'One-two-three',
      NEWSENDER: 'joe-env-One-two-three-owner-@hub.example-@[]',
      DTLINE: `Delivered-To: ${recipient}\n`,
      RPLINE: 'Return-Path: <"Ann Lee"@Far.example>\n',
    };
    assert.deepEqual(Object.fromEntries(Object.keys(want).map((name) => [name, variable(name)])), want);
    assert.match(
      variable('UFLINE') ?? '',
      /^From Ann-Lee@Far\.example [A-Z][a-z]{2} [A-Z][a-z]{2} \d\d [\d:]{8} \d{4}\n$/,
    );
    assert.match(
      home.read('first'),
      /^Received: from unknown \(127\.0\.0\.1\)\n {2}by hub\.example with QMQP; [^\n]*\n/,
    );
    assert.ok(home.read('first').endsWith(`\n${MESSAGE}`));
    assert.equal(home.read('second'), home.read('first'));
  });

  it('ends deliveries by its exit code, and what it printed comes back to the sender', async () => {
    home.put(
      '.qmail-exit-default',
      '|echo before; test "$DEFAULT" != signal || kill -9 $$; exit $DEFAULT\n|echo after\n',
    );
    home.put('.qmail-bounces', './Bounces\n');
    hub = await HubProcess.start(home.path);
    for (const [code] of ENDS)
      await submit(hub.port, MESSAGE, 'joe-bounces@hub.example', `joe-exit-${code}@hub.example`);
    for (const [code, want] of ENDS) assert.equal(await outcome(`joe-exit-${code}@hub.example`), want, code);
    const failures = ENDS.filter(([, want]) => want.startsWith('failure')).map(([code]) => code);
    await hub.untilLogged(/delivery\.success .*recipient=joe-bounces@hub\.example/, failures.length);
    const bounces = home.read('Bounces');
    assert.equal(bounces.match(/^From MAILER-DAEMON /gm)?.length, failures.length);
    for (const code of failures)
      assert.ok(bounces.includes(`\n<joe-exit-${code}@hub.example>:\nbefore\n`), bounces);
  });

  it("can be Dovecot's delivery agent, whose refusal of mail for a full mailbox is final", {
    skip: skipUnless(existsSync(DOVECOT_LDA) ? [] : ["Dovecot's delivery agent is not installed"]),
  }, async () => {
    const quota =
      'mail_plugins = quota\nplugin {\n quota = maildir:mail\n quota_grace = 0\n quota_rule = *:bytes=2000\n}\n';
    const settings = 'ssl = no\nmail_location = maildir:~/Mail\nlog_path = /dev/null\nfirst_valid_uid = 1\n';
    home.put('dovecot.conf', settings + quota);
    home.put('.qmail-lda', `|${DOVECOT_LDA} -c dovecot.conf -e -f "$SENDER" -a "$RECIPIENT"\n`);
    hub = await HubProcess.start(home.path);
    await submit(hub.port, MESSAGE, 'ann@far.example', 'joe-lda@hub.example');
    assert.equal(await outcome('joe-lda@hub.example'), 'success "did 0+0+1/"');
    const [stored = '', ...more] = home.readMaildir('Mail');
    assert.deepEqual(more, []);
    assert.ok(stored.endsWith(`\n${MESSAGE}`));
    await submit(hub.port, MESSAGE.repeat(100), 'joe-none@hub.example', 'joe-lda@hub.example');
    await hub.untilLogged(/delivery\.failure .*recipient=joe-lda@hub\.example text="Quota exceeded /);
  });

  it('can be a mailing list: posts with a sender for each subscriber, bounces to the program that notes them', async () => {
    const server = await ScriptedServer.start((input) =>
      input?.startsWith('RCPT') && input.includes('gone@') ? '550 5.1.1 no such user\r\n' : agree()(input),
    );
    home.control('smtproutes', `:127.0.0.1:${server.port}\n`);
    for (const [name, text] of [
      ['list-send', LIST_SEND],
      ['list-return', LIST_RETURN],
    ] as const) {
      home.put(name, text);
      chmodSync(join(home.folder, name), 0o755);
    }
    home.put('subscribers', 'ann@far.example\ngone@far.example\njoe@hub.example\n');
    home.put(
      '.qmail-list',
      `|if grep -q '^Subject: no$'; then echo "This list does not take that. (#5.7.2)"; exit 100; fi\n` +
        `|./list-send ${home.path}/bin/qmail-queue\n`,
    );
    home.put('.qmail-list-return-default', '|./list-return\n|echo "not to be run"; exit 100\n');
    hub = await HubProcess.start(home.path);
    try {
      const list = 'joe-list@hub.example';
      await submit(hub.port, MESSAGE, 'ann@far.example', list);
      assert.equal(await outcome(list), 'success "did 0+0+2/"');
      assert.equal(await outcome('joe-list-return-1-@hub.example'), 'success "did 0+0+1/"');
      assert.equal(home.read('bounced'), '1- gone@far.example\n');
      assert.equal(await outcome('joe@hub.example'), 'success "did 1+0+0/"');
      const sender = (subscriber: string) => `joe-list-return-1-${subscriber}@hub.example`;
      assert.match(home.read('Mailbox'), new RegExp(`^From ${sender('joe=hub\\.example')} `));
      assert.ok(server.received.join('').includes(`MAIL FROM:<${sender('ann=far.example')}>`));
      const [post = '', ...more] = server.messages;
      assert.deepEqual(more, []);
      assert.match(post, /\r\nMailing-List: contact joe-list-help@hub\.example\r\n/);
      assert.ok(post.endsWith(`\r\n${MESSAGE.replaceAll('\n', '\r\n')}.\r\n`));
      await submit(hub.port, 'Subject: no\n\nx\n', 'joe@hub.example', list);
      await hub.untilLogged(
        /delivery\.failure [^\n]*recipient=joe-list@hub\.example text="This list does not take that\./,
      );
      assert.equal(home.read('number'), '1\n');
    } finally {
      await hub.end('SIGKILL');
      await server.close();
    }
  });
});
