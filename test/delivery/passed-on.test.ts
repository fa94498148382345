// What senders ask to be told, on its way to the next host: the parameters on the wire, for each recipient its own, and only
// to hosts that offer to take them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { type EnvelopeDsn, NOTIFY } from '../../src/core/policy/notification.ts';
import type { RelayProtocol } from '../../src/core/policy/route.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { agree, type Reply, ScriptedServer } from './smtp-server.ts';

const ASKED: EnvelopeDsn = {
  message: { ret: 'hdrs', envid: 'QQ+2B31+3D4' },
  recipients: [
    { notify: NOTIFY.success | NOTIFY.delay, orcpt: 'rfc822;ann+40old@x' },
    undefined,
    { notify: 0, orcpt: 'utf-8;\xc3\xa9@x' },
  ],
};
const RECIPIENTS = ['ann@far.example', 'bob@far.example', 'eve@far.example'];

/** Sends messages over one connection. @returns the commands of each, and whether each was passed on */
async function send(
  reply: Reply,
  messages: readonly { readonly dsn?: EnvelopeDsn; readonly recipients?: readonly string[] }[],
  protocol?: RelayProtocol,
) {
  const server = await ScriptedServer.start(reply);
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 1000, timeoutRemoteMs: 5000, clock: new ManualClock() },
    lookUp: {
      ownAddresses: () => new Set(),
      resolver: {
        resolveMx: async () => [],
        resolve4: async () => ['127.0.0.1'],
        resolve6: async () => [],
      },
    },
  });
  const { port } = server;
  const destination = { key: 'k', host: 'far.example', port, routed: true, ...(protocol && { protocol }) };
  try {
    const passed: boolean[] = [];
    for (const { dsn, recipients = RECIPIENTS } of messages) {
      const { outcomes, passedOn = false } = await transport.deliver({
        ...{ destination, sender: bytesOf('s@a.example'), message: bytesOf('x\n') },
        ...{ recipients: recipients.map(bytesOf), ...(dsn && { dsn }) },
      });
      assert.ok(outcomes.length === recipients.length);
      passed.push(passedOn);
    }
    assert.equal(server.received.length, 1);
    const commands = server.received[0]!.split('\r\n').filter((line) => /^(?:MAIL|RCPT)/.test(line));
    return { commands: commands.map((line) => line.replace(/ SIZE=\d+/, '')), passed };
  } finally {
    await transport.close();
    await server.close();
  }
}

test('a host that offers DSN gets the parameters, each recipient its own, the next message none of them', async () => {
  const { commands, passed } = await send(agree('DSN', 'PIPELINING'), [{ dsn: ASKED }, {}]);
  assert.deepEqual(commands, [
    'MAIL FROM:<s@a.example> RET=HDRS ENVID=QQ+2B31+3D4',
    'RCPT TO:<ann@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ann+40old@x',
    'RCPT TO:<bob@far.example>',
    'RCPT TO:<eve@far.example> NOTIFY=NEVER',
    'MAIL FROM:<s@a.example>',
    ...RECIPIENTS.map((recipient) => `RCPT TO:<${recipient}>`),
  ]);
  assert.deepEqual(passed, [true, false]);
});

test('recipients keep their parameters when others before them cannot be sent', async () => {
  const recipients = ['a\nb@far.example', '\xc3\xa9@far.example', 'eve@far.example'];
  const { commands } = await send(agree('DSN'), [{ dsn: ASKED, recipients }]);
  assert.deepEqual(commands.slice(1), ['RCPT TO:<eve@far.example> NOTIFY=NEVER']);
});

test('a host that does not offer DSN gets no parameters, and will not tell', async () => {
  const { commands, passed } = await send(agree('SIZE'), [{ dsn: ASKED }]);
  assert.deepEqual(commands, ['MAIL FROM:<s@a.example>', ...RECIPIENTS.map((one) => `RCPT TO:<${one}>`)]);
  assert.deepEqual(passed, [false]);
});

test('an LMTP server delivers, so that we tell', async () => {
  const { commands, passed } = await send(
    (input) =>
      input?.endsWith('.\r\n') && !/^[A-Z]/.test(input) ? '250 a\r\n250 b\r\n250 c\r\n' : agree('DSN')(input),
    [{ dsn: ASKED }],
    'lmtp',
  );
  assert.equal(commands[0], 'MAIL FROM:<s@a.example>');
  assert.deepEqual(passed, [false]);
});

test('a message that was not taken was not passed on', async () => {
  const refusing: Reply = (input) => (input?.startsWith('RCPT') ? '550 no\r\n' : agree('DSN')(input));
  assert.deepEqual((await send(refusing, [{ dsn: ASKED }])).passed, [false]);
});
