// The hub as SMTP and LMTP server, as a process: who may send where, what it keeps, and how it stops.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { NODE_FILES } from '../../src/host/files.ts';
import { EmbeddedQueue } from '../../src/queue/embedded-queue.ts';
import { openDirectIndex } from '../../src/queue/worker-index.ts';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { SmtpClient } from '../support/smtp-client.ts';

const MESSAGE = 'Subject: x\nMessage-ID: <1@x.example>\n\n.hello\n';
const OWN = 'bob@hub.example';
const OTHER = 'ann@far.example';

let home: string;
let hub: HubProcess;

beforeEach(() => {
  // Nothing is delivered to elsewhere.
  home = makeHome({ locals: 'hub.example\n', concurrencyremote: '0\n' });
});
afterEach(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

async function start(...more: string[]): Promise<void> {
  hub = await HubProcess.start(home, undefined, 0, ['--smtp', '127.0.0.1:0', ...more]);
}

function control(name: string, content: string): void {
  writeFileSync(join(home, 'control', name), content);
}

/** Makes rules; their file. */
function rules(input: string): string {
  const path = join(home, 'rules.cdb');
  const { status } = spawnSync(join(ROOT, 'bin/tcprules'), [path, `${path}.tmp`], { input });
  assert.equal(status, 0);
  return path;
}

/** Sends one message in a session of its own; the reply to its end, or the first refusal. */
async function send(recipient: string, message = MESSAGE): Promise<string> {
  const client = await SmtpClient.connect(hub.smtpPort);
  const reply = await client.send('s@a.example', recipient, message);
  client.close();
  return reply;
}

/** Says all lines at once; the replies until the server closes. */
function talk(place: NetConnectOpts, lines: readonly string[]): Promise<string[]> {
  const socket = connect(place);
  let text = '';
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more;
  });
  socket.write(lines.map((line) => `${line}\r\n`).join(''));
  return new Promise((resolve, reject) => {
    socket.on('error', reject).on('close', () => resolve(text.split('\r\n').slice(0, -1)));
  });
}

describe('mini-qmail hub --smtp', () => {
  it('has a message in its mailbox, whole, after a 250 with its number', async () => {
    await start();
    assert.match(await send(OWN), /^250 ok \d+ qp 1$/);
    await hub.untilLogged(/^delivery\.success id=1 /m);
    const [stored] = readMailbox(home, 'hub.example', 'bob');
    const [date] = /\d+ [A-Z][a-z]+ \d{4} [\d:]{8} -0000/.exec(stored ?? '') ?? [];
    const from = 'Received: from unknown (HELO client.example) (127.0.0.1)\n  by hub.example with SMTP';
    assert.equal(stored, `Return-Path: <s@a.example>\nDelivered-To: ${OWN}\n${from}; ${date}\n${MESSAGE}`);
    const facts =
      'ip=127.0.0.1 sender=s@a.example recipients=1 bytes=\\d+ messageId=<1@x.example> protocol=SMTP';
    assert.match(hub.log.text, new RegExp(`^accepted id=1 ${facts}$`, 'm'));
  });

  it('lets who may use QMQP send anywhere, and keeps what was asked for the message and its recipients', async () => {
    await start();
    const client = await SmtpClient.connect(hub.smtpPort);
    await client.command('MAIL FROM:<s@a.example> RET=HDRS ENVID=my+2Bid');
    await client.command(`RCPT TO:<${OTHER}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ann@far.example`);
    await client.command(`RCPT TO:<x@far.example> NOTIFY=NEVER`);
    assert.match(await client.command('RCPT TO:<y@far.example> NOTIFY=NEVER,DELAY'), /^501 /);
    await client.command('DATA');
    assert.match(await client.command('Subject: x\r\n\r\n.'), /^250 /);
    client.close();
    assert.equal(await hub.end(), 0);
    const index = openDirectIndex(join(home, 'queue/index.sqlite'));
    const log = { write: () => undefined };
    const folder = join(home, 'queue');
    const queue = await EmbeddedQueue.open({ folder, files: NODE_FILES, index, clock: SYSTEM_CLOCK, log });
    const message = await queue.find(1);
    await queue.close();
    assert.deepEqual(message?.dsn, { ret: 'hdrs', envid: 'my+2Bid' });
    assert.deepEqual(
      message?.recipients.map(({ dsn }) => dsn),
      [{ notify: 5, orcpt: 'rfc822;Ann@far.example' }, { notify: 0 }],
    );
  });

  it('takes from strangers what is for this host, and from those with RELAYCLIENT everything', async () => {
    await start('--smtp-rules', rules('127.:allow\n'));
    assert.match(
      await send(OTHER),
      /^553 sorry, that domain isn't in my list of allowed rcpthosts \(#5\.7\.1\)$/,
    );
    assert.match(await send(OWN), /^250 /);
    await hub.untilLogged(
      /^smtp\.recipient-refused ip=127\.0\.0\.1 sender=s@a\.example recipient=ann@far\.example reply="553 /m,
    );
    rules('127.:allow,RELAYCLIENT="",DATABYTES="20"\n');
    assert.match(await send(OTHER, 'Subject: x\n\n'), /^250 /);
    assert.match(await send(OTHER), /^552 /);
    await hub.untilLogged(/^refused ip=127\.0\.0\.1 sender=s@a\.example reply="552 /m);
    rules(':deny\n');
    assert.deepEqual(await talk({ port: hub.smtpPort }, ['QUIT']).catch(() => []), []);
    await hub.untilLogged(/^smtp\.refused ip=127\.0\.0\.1 reason="denied by /m);
  });

  it('bounds what strangers may do in a session', async () => {
    await start('--smtp-rules', rules('127.0.0.1:allow\n:deny\n'));
    const refused = Array.from({ length: 100 }, () => 'RCPT TO:<ann@far.example>');
    const replies = await talk({ port: hub.smtpPort }, ['MAIL FROM:<s@a.example>', ...refused, 'NOOP']);
    assert.equal(replies.filter((reply) => reply.startsWith('553 ')).length, 100);
    assert.equal(replies.at(-1), '421 too many errors (#4.7.0)');
    const many = Array.from({ length: 1001 }, (_, i) => `RCPT TO:<${i}@hub.example>`);
    const all = await talk({ port: hub.smtpPort }, ['MAIL FROM:<s@a.example>', ...many, 'QUIT']);
    assert.equal(all.filter((reply) => reply === '250 ok').length, 1001);
    assert.match(all.at(-2)!, /^452 /);
    const long = await talk({ port: hub.smtpPort }, [
      `RCPT TO:<${'x'.repeat(5000)}`,
      `HELO ${'x'.repeat(5000)}`,
      'QUIT',
    ]);
    assert.equal(long[2], '500 command line too long (#5.5.2)');
  });

  it('takes for the domains of control/rcpthosts if there is one, from strangers', async () => {
    control('rcpthosts', 'far.example\n');
    await start('--smtp-rules', rules('127.:allow\n'));
    assert.match(await send(OTHER), /^250 /);
    assert.match(await send(OWN), /^553 /);
  });

  it('refuses a recipient of this host without a mailbox, whoever asks', async () => {
    control('recipients', `${OWN}\n`);
    await start();
    assert.equal(await send('nobody@hub.example'), '550 sorry, no mailbox here by that name (#5.1.1)');
    assert.match(await send(OWN), /^250 /);
    assert.match(await send(OTHER), /^250 /);
  });

  it('refuses what is larger than control/databytes, and nothing of it is kept', async () => {
    control('databytes', '50000\n');
    await start();
    assert.match(await send(OTHER, `${'x'.repeat(60)}\n`.repeat(1000)), /^552 /);
    assert.match(await send(OTHER, `${'x'.repeat(48)}\n`.repeat(1000)), /^250 .* qp \d+$/);
    assert.equal(await hub.end(), 0);
    assert.match(hub.log.text, /^hub\.stopped messages=1 accepted=1 /m);
  });

  it('lets a message that is on its way in arrive when it is stopped, and sends the others away', async () => {
    await start();
    const [idle, busy] = [await SmtpClient.connect(hub.smtpPort), await SmtpClient.connect(hub.smtpPort)];
    for (const line of ['MAIL FROM:<s@a.example>', `RCPT TO:<${OWN}>`]) await busy.command(line);
    assert.match(await busy.command('DATA'), /^354 /);
    busy.write('Subject: x\r\n');
    await idle.command('MAIL FROM:<s@a.example>');
    const ended = hub.end();
    assert.equal(await idle.reply(), '421 the mail server is stopping, try again (#4.3.2)');
    assert.equal(await idle.rest(), '');
    assert.match(await busy.command('\r\nlate\r\n.'), /^250 .* qp 1$/);
    assert.match(await busy.rest(), /^421 /);
    assert.equal(await ended, 0);
    assert.match(hub.log.text, /^accepted id=1 /m);
    for (const client of [idle, busy]) client.close();
  });

  it('does not understand a place that is none', () => {
    const words = ['hub', '--home', home, '--smtp', '127.0.0.1:0,nowhere'];
    const { status, stderr } = spawnSync(join(ROOT, 'bin/mini-qmail'), words, { encoding: 'latin1' });
    assert.equal(status, 100);
    assert.match(stderr, /--smtp "127\.0\.0\.1:0,nowhere" is not HOST:PORT/);
  });
});

describe('mini-qmail hub --lmtp', () => {
  const TRANSACTION = ['LHLO app', 'MAIL FROM:<s@a.example>', `RCPT TO:<${OWN}>`, 'RCPT TO:<no@hub.example>'];

  it('answers for each recipient, on a port and on a socket file', async () => {
    control('recipients', `${OWN}\n`);
    const path = join(home, 'lmtp.sock');
    await start('--lmtp', `127.0.0.1:0,unix:${path}`);
    for (const place of [{ port: hub.lmtpPort }, { path }]) {
      const lines = [...TRANSACTION, `RCPT TO:<${OTHER}>`, 'DATA', 'Subject: x', '', 'text', '.', 'QUIT'];
      const replies = await talk(place, lines);
      assert.equal(replies[0], '220 hub.example LMTP');
      assert.deepEqual(replies.slice(6, 10), [
        '250 2.0.0 ok',
        '250 2.0.0 ok',
        '550 5.1.1 sorry, no mailbox here by that name',
        '250 2.0.0 ok',
      ]);
      const [goAhead, first, second, bye, ...rest] = replies.slice(10);
      assert.equal(goAhead, '354 go ahead');
      assert.match(first!, /^250 2\.0\.0 ok \d+ qp \d+$/);
      assert.deepEqual([second, bye, rest], [first, '221 2.0.0 hub.example', []]);
    }
    await hub.untilLogged(/^delivery\.success .*recipient=bob@hub\.example/m, 2);
    assert.match(
      readMailbox(home, 'hub.example', 'bob').join(),
      /\(local\)\n {2}by hub\.example with LMTP; /,
    );
  });

  it('takes over the socket file of a hub that was killed, and not that of one that lives', async () => {
    const place = `unix:${join(home, 'lmtp.sock')}`;
    await start('--lmtp', place);
    const other = makeHome();
    try {
      await assert.rejects(HubProcess.start(other, undefined, 0, ['--lmtp', place]), /EADDRINUSE/);
    } finally {
      removeHome(other);
    }
    await hub.end('SIGKILL');
    await start('--lmtp', place);
    assert.match((await talk({ path: join(home, 'lmtp.sock') }, ['QUIT']))[0]!, /^220 /);
  });
});
