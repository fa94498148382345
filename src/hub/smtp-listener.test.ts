// Bounds of the SMTP listener, and what a queue in trouble makes of a message, in this process.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SmtpClient } from '../../test/support/smtp-client.ts';
import { MemoryBudget } from '../gate/memory-budget.ts';
import { readSmtpdControls } from '../gate/smtpd-controls.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import type { Facts } from '../host/log.ts';
import { MemoryQueue, MemoryQueueStorage } from '../queue/memory-queue.ts';
import type { Queue } from '../queue/queue.ts';
import { SmtpListener, type SmtpListenerOptions } from './smtp-listener.ts';

let home: string;
let listener: SmtpListener;
let clients: SmtpClient[];
let events: [string, Facts][];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'smtp-listener-'));
  mkdirSync(join(home, 'control'));
  writeFileSync(join(home, 'control/me'), 'hub.example\n');
  clients = [];
  events = [];
});
afterEach(async () => {
  for (const client of clients) client.close();
  await listener.close(0);
  rmSync(home, { recursive: true });
});

/** Starts a listener for strangers; a client that has said EHLO, as often as it is called. */
async function listen(more: Partial<SmtpListenerOptions> = {}): Promise<() => Promise<SmtpClient>> {
  listener = new SmtpListener({
    ...{ home, isLmtp: false, me: 'hub.example', messageSizeMax: undefined, clock: SYSTEM_CLOCK },
    queue: new MemoryQueue(new MemoryQueueStorage(), SYSTEM_CLOCK),
    classify: (address) => ({ channel: 'local', address }),
    takes: () => true,
    readControls: readSmtpdControls,
    envelopes: new MemoryBudget(10_000),
    strangerEnvelopes: new MemoryBudget(200),
    log: { write: (event, facts) => void events.push([event, facts]) },
    judge: () => ({ allow: true, env: {} }),
    ...{ connectionCountMax: 100, strangerCountMax: 2 },
    ...more,
  });
  const place = await listener.listen({ host: '127.0.0.1', port: 0 });
  assert.ok('port' in place);
  return async () => {
    const client = await SmtpClient.connect(place.port);
    clients.push(client);
    return client;
  };
}

/** A queue that fails at its commit. */
const FAILING: Pick<Queue, 'begin'> = {
  begin: () => ({
    write: () => undefined,
    commit: () => Promise.reject(new Error('disk full')),
    commitOnce: () => Promise.reject(new Error('disk full')),
    abort: () => undefined,
  }),
};

test('strangers of one address have so many connections and no more, until one ends', async () => {
  const connect = await listen();
  const [first, second] = [await connect(), await connect()];
  const third = await connect();
  assert.equal(await third.command('NOOP'), '');
  assert.deepEqual(events.at(-1), [
    'smtp.refused',
    { ip: '127.0.0.1', reason: 'too many connections from your network' },
  ]);
  assert.equal(await first.command('QUIT'), '221 hub.example');
  await first.rest();
  assert.equal(await second.command('NOOP'), '250 ok');
  for (;;) {
    const next = await connect();
    // The connection that ended may still be on its way out.
    if ((await next.command('NOOP')) === '250 ok') break;
  }
});

test('strangers have three quarters of all connections, and the rest is for those who may send anywhere', async () => {
  let env: { RELAYCLIENT?: string } = {};
  const judge = () => ({ allow: true, env }) as const;
  const connect = await listen({ judge, connectionCountMax: 4, strangerCountMax: 9 });
  for (let i = 0; i < 3; i++) assert.equal(await (await connect()).command('NOOP'), '250 ok');
  assert.equal(await (await connect()).command('NOOP'), '');
  assert.equal(events.at(-1)?.[1]['reason'], 'too many connections at the moment');
  env = { RELAYCLIENT: '' };
  assert.equal(await (await connect()).command('NOOP'), '250 ok');
});

test('who may send anywhere is not counted among strangers', async () => {
  const connect = await listen({ judge: () => ({ allow: true, env: { RELAYCLIENT: '' } }) });
  for (let i = 0; i < 5; i++) assert.equal(await (await connect()).command('NOOP'), '250 ok');
});

test('a judge that denies closes the connection without a word', async () => {
  const connect = await listen({ judge: () => ({ allow: false, reason: 'denied by rules' }) });
  assert.equal(await (await connect()).command('NOOP'), '');
  assert.deepEqual(events[0], ['smtp.refused', { ip: '127.0.0.1', reason: 'denied by rules' }]);
});

test('recipients on their way in have a bound for all sessions, and a new message has its room back', async () => {
  const connect = await listen();
  const [one, other] = [await connect(), await connect()];
  const refusal = '451 too many recipients are on their way at the moment (#4.3.2)';
  await one.command('MAIL FROM:<>');
  assert.equal(await one.command('RCPT TO:<aaaa@b>'), '250 ok');
  assert.equal(await one.command('RCPT TO:<aaaa@b>'), '250 ok');
  await other.command('MAIL FROM:<>');
  assert.equal(await other.command('RCPT TO:<aaaa@b>'), refusal);
  await one.command('RSET');
  await one.command('MAIL FROM:<>');
  assert.equal(await one.command('RCPT TO:<aaaa@b>'), '250 ok');
  assert.equal(await other.command('RCPT TO:<aaaa@b>'), '250 ok');
  assert.equal(await one.command('RCPT TO:<aaaa@b>'), refusal);
});

test('a commit that fails is a refusal for now, logged with its reason', async () => {
  const connect = await listen({ queue: FAILING });
  const reply = await (await connect()).send('s@a', 'r@b', 'x\n');
  assert.equal(reply, '451 qq write error or disk full (#4.3.0)');
  assert.deepEqual(
    events.map(([event, { reason, reply: told }]) => [event, reason ?? told]),
    [
      ['queue.trouble', 'Error: disk full'],
      ['refused', reply],
    ],
  );
});

test('a queue that cannot begin refuses the message before it is sent', async () => {
  const begin = () => {
    throw new Error('no room');
  };
  const connect = await listen({ queue: { begin } });
  assert.equal(await (await connect()).send('s@a', 'r@b', 'x\n'), '451 qqt failure (#4.3.0)');
});

test('a client that leaves in the middle of a message leaves nothing, and that is told', async () => {
  let aborted = () => {};
  const gone = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  const connect = await listen({ queue: { begin: () => ({ ...FAILING.begin(), abort: aborted }) } });
  const client = await connect();
  for (const line of ['MAIL FROM:<s@a>', 'RCPT TO:<r@b>', 'DATA']) await client.command(line);
  client.write('Subject: x\r\n');
  client.close();
  await gone;
  assert.deepEqual(events, [['smtp.lost', { ip: '127.0.0.1', reason: 'early-end while reading a message' }]]);
});
