// The check of recipients against a server on a socket, in time that stands still.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { FakeSocketmapServer } from '../../test/support/fake-socketmap-server.ts';
import { bytesOf } from '../core/bytes/bytes.ts';
import { GLANCE_MS } from '../host/glance.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { AVOID_MS, createRecipientChecks, FOUND_MS, MISSING_MS } from './recipient-check.ts';
import { SOCKETMAP_ANSWER_MS } from './socketmap-client.ts';

const MISSING = 'D sorry, no mailbox here by that name (#5.1.1)';
const CANNOT_TELL = 'Z unable to check recipients at the moment (#4.4.3)';
const NO_CONTROLS = 'Z unable to read controls (#4.3.0)';

let home: string;
let clock: ManualClock;
let servers: FakeSocketmapServer[];
let complaints: string[];
let check: (recipient: string) => Promise<string>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'recipient-check-'));
  mkdirSync(join(home, 'control'));
  clock = new ManualClock();
  servers = [];
  complaints = [];
  const checkOf = createRecipientChecks({ clock, complain: (text) => complaints.push(text) });
  check = async (recipient) => {
    const outcome = await checkOf(home)(bytesOf(recipient));
    return outcome === undefined ? 'accepted' : `${outcome.letter} ${outcome.text}`;
  };
});
afterEach(async () => {
  for (const server of servers) await server.stop();
  rmSync(home, { recursive: true });
  assert.equal(clock.nextTimerMs(), undefined, 'a timer is left');
});

const control = (name: string, content: string) => writeFileSync(join(home, 'control', name), content);

/** Starts so many servers and names them in the control file, in order. */
async function start(count = 1): Promise<FakeSocketmapServer> {
  for (let i = 0; i < count; i++) servers.push(await FakeSocketmapServer.start());
  control('rcptcheck', servers.map(({ port }) => `inet:127.0.0.1:${port}:recipient\n`).join(''));
  return servers[0]!;
}

test('nobody is asked where no server is named', async () => {
  assert.equal(await check('ann@b'), 'accepted');
  control('rcptcheck', '# none\n');
  control('rcptcheckfail', 'closed\n');
  assert.equal(await check('ann@b'), 'accepted');
});

const ANSWERS: [answer: string, open: string, closed: string][] = [
  ['OK taken', 'accepted', 'accepted'],
  ['OK', 'accepted', 'accepted'],
  ['NOTFOUND ', MISSING, MISSING],
  ['TEMP later', 'accepted', CANNOT_TELL],
  ['TIMEOUT ', 'accepted', CANNOT_TELL],
  ['PERM no such map (#5.3.5)', 'D no such map (#5.3.5)', 'D no such map (#5.3.5)'],
  ['PERM ', 'D sorry, that recipient is refused (#5.7.1)', 'D sorry, that recipient is refused (#5.7.1)'],
  ['PERM no\r\n250 ok\xff', 'D no??250 ok? (#5.7.1)', 'D no??250 ok? (#5.7.1)'],
  [`PERM ${'x'.repeat(5000)}`, `D ${'x'.repeat(200)} (#5.7.1)`, `D ${'x'.repeat(200)} (#5.7.1)`],
  ['MAYBE', 'accepted', CANNOT_TELL],
];

for (const [answer, open, closed] of ANSWERS) {
  test(`${JSON.stringify(answer.slice(0, 30))} is ${open.slice(0, 40)}, and ${closed.slice(0, 40)} if control/rcptcheckfail says closed`, async () => {
    const server = await start();
    server.answer = () => answer;
    assert.equal(await check('ann@b c'), open);
    assert.deepEqual(server.asked, ['recipient ann@b c']);
    control('rcptcheckfail', 'closed\n');
    clock.advance(AVOID_MS);
    assert.equal(await check('ann@b c'), closed);
  });
}

test('an answer is remembered for its time, the good news longer, and trouble not at all', async () => {
  const server = await start();
  server.answer = (question) =>
    question.endsWith('ann') ? 'OK ' : question.endsWith('eve') ? 'NOTFOUND ' : 'TEMP ';
  const all = async () => [await check('ann'), await check('eve'), await check('tim')];
  const want = ['accepted', MISSING, 'accepted'];
  const count = () => server.asked.splice(0).map((question) => question.slice(-3));
  assert.deepEqual([await all(), count()], [want, ['ann', 'eve', 'tim']]);
  clock.advance(MISSING_MS - 1);
  assert.deepEqual([await all(), count()], [want, ['tim']]);
  clock.advance(1);
  assert.deepEqual([await all(), count()], [want, ['eve', 'tim']]);
  clock.advance(FOUND_MS - MISSING_MS);
  assert.deepEqual([await all(), count()], [want, ['ann', 'eve', 'tim']]);
  assert.equal(server.connections, 1);
});

test('questions of many sessions go out on one connection without waiting for each other', async () => {
  const server = await start();
  const held: (() => void)[] = [];
  server.answer = (question) => {
    held.push(() => server.say(question.endsWith('7') ? '9:NOTFOUND ,' : '3:OK ,'));
    return undefined;
  };
  const checks = Array.from({ length: 20 }, (_, i) => check(`user${i}`));
  await server.untilAsked(20);
  for (const release of held) release();
  const answers = await Promise.all(checks);
  assert.deepEqual(
    answers.flatMap((answer, i) => (answer === MISSING ? [i] : [])),
    [7, 17],
  );
  assert.equal(server.connections, 1);
});

test('a server that says nothing is given up after its time, and not asked again for a while', async () => {
  const server = await start();
  server.answer = () => undefined;
  control('rcptcheckfail', 'closed\n');
  const waiting = [check('ann'), check('eve')];
  await server.untilAsked(2);
  clock.advance(SOCKETMAP_ANSWER_MS);
  assert.deepEqual(await Promise.all(waiting), [CANNOT_TELL, CANNOT_TELL]);
  server.answer = () => 'OK ';
  clock.advance(AVOID_MS - 1);
  assert.equal(await check('ann'), CANNOT_TELL);
  assert.equal(server.asked.length, 2);
  clock.advance(1);
  assert.equal(await check('ann'), 'accepted');
  const place = `Recipient check at 127.0.0.1 port ${server.port}`;
  assert.deepEqual(complaints, [`${place} does not answer`, `${place} answers again`]);
});

test('the next server is asked when one is gone or cannot tell', async () => {
  await start(2);
  const [first, second] = servers as [FakeSocketmapServer, FakeSocketmapServer];
  second.answer = () => 'NOTFOUND ';
  first.answer = () => 'TEMP ';
  assert.equal(await check('ann'), MISSING);
  assert.deepEqual([first.asked.length, second.asked.length], [1, 1]);
  await servers.shift()!.stop();
  assert.equal(await check('eve'), MISSING);
});

test('a connection that the server has ended meanwhile is made again', async () => {
  const server = await start();
  assert.equal(await check('ann'), 'accepted');
  server.answer = () => 'NOTFOUND ';
  server.say(undefined);
  assert.equal(await check('eve'), MISSING);
  assert.equal(server.connections, 2);
  assert.deepEqual(complaints, []);
});

test('a change of the control files counts a second later, and what was remembered is forgotten', async () => {
  const server = await start();
  assert.equal(await check('ann'), 'accepted');
  servers.push(await FakeSocketmapServer.start());
  servers[1]!.answer = () => 'NOTFOUND ';
  control('rcptcheck', `inet:127.0.0.1:${servers[1]!.port}:other\n`);
  assert.equal(await check('ann'), 'accepted');
  clock.advance(GLANCE_MS);
  assert.equal(await check('ann'), MISSING);
  assert.deepEqual([server.asked.length, servers[1]!.asked], [1, ['other ann']]);
});

for (const [name, content] of [
  ['rcptcheck', '127.0.0.1:629'],
  ['rcptcheckfail', 'maybe'],
] as const) {
  test(`nobody is accepted while control/${name} is not understood, which is said once`, async () => {
    await start();
    control(name, `${content}\n`);
    for (let i = 0; i < 2; i++) assert.equal(await check('ann'), NO_CONTROLS);
    const reason = `"${content}" is not what it may say; see qmail-smtpd(8)`;
    assert.deepEqual(complaints, [`Cannot understand ${home}/control/${name}: ${reason}`]);
    await start();
    control('rcptcheckfail', 'open\n');
    assert.equal(await check('ann'), 'accepted');
  });
}

test('nobody is accepted while control/rcptcheck cannot be read', async () => {
  mkdirSync(join(home, 'control/rcptcheck'));
  assert.equal(await check('ann'), NO_CONTROLS);
});

test('a server is reached by a socket file', async () => {
  const { createServer } = await import('node:net');
  const server = createServer((socket) => socket.on('data', () => socket.end('9:NOTFOUND ,')));
  const path = join(home, 'map:1');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  control('rcptcheck', `unix:${path}:recipient\n`);
  assert.equal(await check('ann'), MISSING);
  await new Promise((resolve) => server.close(resolve));
});
