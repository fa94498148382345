import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { makeCertificate, type TestCertificate } from '../../test/support/certificate.ts';
import { missingPeers } from '../../test/support/peers.ts';
import { writeControl } from '../../test/support/server-vectors.ts';
import type { QueueProgram } from '../client/queue-program.ts';
import { bytesOf, concatBytes, textOf } from '../core/bytes/bytes.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { openSocketInputOutput } from '../host/socket-io.ts';
import { runSmtpd, type SmtpdOptions } from './run-smtpd.ts';

let home: string;
let clock: ManualClock;
let certificate: TestCertificate | undefined;
let calls: string[];

const skip = missingPeers('openssl');
before(() => {
  if (skip === false) certificate = makeCertificate('mx.example.org');
});
after(() => certificate?.remove());

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'run-smtpd-'));
  clock = new ManualClock();
  calls = [];
  writeControl(join(home, 'control'), { me: 'mx.example\n' });
});
afterEach(() => rmSync(home, { recursive: true }));

/** A queue program that notes what is done with it. */
function recordingQueue(): QueueProgram {
  return {
    write(bytes) {
      calls.push(`write ${textOf(bytes)}`);
      return undefined;
    },
    async finish(envelope) {
      calls.push(`finish ${textOf(envelope)}`);
      return { exit: 0, writeFailed: false, pid: 4711 };
    },
    async abort() {
      calls.push('abort');
    },
  };
}

interface Client extends Partial<SmtpdOptions> {
  /** Whether the client closes after its last piece; else it says nothing more. */
  readonly closes?: boolean;
  /** Whether the client reads. */
  readonly reads?: boolean;
}

/** Serves a client that sends these pieces. */
async function serve(pieces: string[], { closes = true, reads = true, ...more }: Client = {}) {
  const replies: Uint8Array[] = [];
  const waiting = pieces.map(bytesOf);
  const never = new Promise<never>(() => {});
  const exit = await runSmtpd({
    input: { read: () => (waiting.length > 0 || closes ? Promise.resolve(waiting.shift()) : never) },
    output: {
      async write(parts) {
        if (!reads) return never;
        replies.push(...parts);
        return true;
      },
    },
    ...{ env: {}, home, ownBin: '/nowhere', clock, openQueue: recordingQueue },
    ...more,
  });
  assert.equal(clock.nextTimerMs(), undefined, 'a timer is left');
  const lines = textOf(concatBytes(replies)).split('\r\n');
  assert.equal(lines.pop(), '');
  return { exit, replies: lines };
}

const START = 'MAIL FROM:<s@a>\r\nRCPT TO:<r@b>\r\nDATA\r\n';

test('runSmtpd() hands over field, message and envelope, and says who took them and when', async () => {
  const { exit, replies } = await serve([`${START}hi\r\n.\r\nQUIT\r\n`]);
  assert.equal(exit, 0);
  assert.deepEqual(replies.slice(3), ['354 go ahead', '250 ok 1000000000 qp 4711', '221 mx.example']);
  const field = 'Received: from unknown (unknown)\n  by unknown with SMTP; 9 Sep 2001 01:46:40 -0000\n';
  assert.deepEqual(calls, [`write ${field}`, 'write hi\n', 'finish Fs@a\0Tr@b\0\0']);
});

test('runSmtpd() gives up the queue program of a client that leaves in a message', async () => {
  const { exit, replies } = await serve([`${START}hi\r\n`]);
  assert.deepEqual([exit, replies.at(-1), calls.at(-1)], [1, '354 go ahead', 'abort']);
});

test('runSmtpd() reads no more while the queue program is busy', async () => {
  let release = (): void => {};
  let count = 0;
  const pieces = [bytesOf(START), bytesOf('one\r\n'), bytesOf('two\r\n.\r\n'), undefined];
  const run = serve([], {
    input: { read: async () => pieces[count++] },
    openQueue: () => ({
      ...recordingQueue(),
      write: () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    }),
  });
  for (const want of [1, 2]) {
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    assert.equal(count, want);
    release();
  }
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  release();
  assert.equal((await run).exit, 1);
});

test('runSmtpd() gives a silent client its time, counted anew from each byte', async () => {
  writeFileSync(join(home, 'control/timeoutsmtpd'), '10\n');
  let say = (_: Uint8Array): void => {};
  let isOver = false;
  const read = () =>
    new Promise<Uint8Array>((resolve) => {
      say = resolve;
    });
  const run = serve([], { input: { read } }).finally(() => {
    isOver = true;
  });
  for (let i = 0; i < 5; i++) {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    clock.advance(9_999);
    say(bytesOf('N'));
  }
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.equal(isOver, false);
  clock.advance(10_000);
  assert.deepEqual(await run, { exit: 1, replies: ['220 mx.example ESMTP', '451 timeout (#4.4.2)'] });
});

test('runSmtpd() ends a session after the seconds that it may last, however busy it is', async () => {
  const { exit, replies } = await serve([], {
    env: { SMTPEXTENSIONS: 'session=60' },
    input: {
      async read() {
        clock.advance(7_000);
        return bytesOf('NOOP\r\n');
      },
    },
  });
  assert.deepEqual([exit, replies.at(-1)], [1, '451 timeout (#4.4.2)']);
  assert.equal(replies.length, 1 + 9 + 1);
});

test('runSmtpd() ends without a word when the client reads nothing for so long', async () => {
  const run = serve(['NOOP\r\n'], { reads: false });
  await new Promise(setImmediate);
  clock.advance(1_200_000);
  assert.deepEqual(await run, { exit: 1, replies: [] });
});

test('runSmtpd() ends when the client is gone', async () => {
  const output = { write: async () => false };
  assert.deepEqual(await serve(['NOOP\r\n'], { output }), { exit: 1, replies: [] });
});

for (const [name, openQueue] of [
  ['cannot be opened', () => Promise.reject(new Error('busy'))],
  ['throws', () => assert.fail('no')],
] as const) {
  test(`runSmtpd() refuses a message for now before it is sent when the queue ${name}`, async () => {
    const { exit, replies } = await serve([`${START}QUIT\r\n`], { openQueue });
    assert.deepEqual([exit, replies.slice(3)], [0, ['451 qqt failure (#4.3.0)', '221 mx.example']]);
  });
}

test('runSmtpd() refuses a message for now when no queue program could be started', async () => {
  const openQueue = () => ({ ...recordingQueue(), finish: () => Promise.reject(new Error('EAGAIN')) });
  const { replies } = await serve([`${START}.\r\nQUIT\r\n`], { openQueue });
  assert.deepEqual(replies.slice(4), ['451 qqt failure (#4.3.0)', '221 mx.example']);
});

test('runSmtpd() survives a queue that breaks', async () => {
  const texts: string[] = [];
  const openQueue = () => ({ ...recordingQueue(), write: () => assert.fail('broken') });
  const { exit } = await serve([`${START}.\r\n`], { openQueue, complain: (text) => texts.push(text) });
  assert.deepEqual([exit, calls, texts], [1, ['abort'], ['Session ended by an error: broken']]);
});

const CHECKS: [Outcome | undefined, string][] = [
  [undefined, '250 ok'],
  [{ letter: 'K', text: '' }, '250 ok'],
  [{ letter: 'D', text: 'no such user (#5.1.1)' }, '550 no such user (#5.1.1)'],
  [{ letter: 'Z', text: 'ask again (#4.2.1)' }, '451 ask again (#4.2.1)'],
  [{ letter: 'D', text: 'two\r\n250 lines' }, '550 two  250 lines'],
];

for (const [outcome, want] of CHECKS) {
  test(`runSmtpd() answers ${want} when the check of a recipient says ${outcome?.letter}`, async () => {
    const asked: string[] = [];
    const { replies } = await serve(['MAIL FROM:<s@a>\r\nRCPT TO:<r@b>\r\n'], {
      env: { RELAYCLIENT: '.example' },
      async checkRecipient(recipient, sender) {
        asked.push(`${textOf(sender)} ${textOf(recipient)}`);
        return outcome;
      },
    });
    assert.deepEqual([replies[2], asked], [want, ['s@a r@b.example']]);
  });
}

test('runSmtpd() refuses a recipient for now when the check of it fails', async () => {
  const checkRecipient = () => Promise.reject(new Error('no answer'));
  const { exit, replies } = await serve(['MAIL FROM:<s>\r\nRCPT TO:<r>\r\nQUIT\r\n'], { checkRecipient });
  assert.deepEqual([exit, replies[2]], [0, '451 unable to check that recipient now (#4.3.0)']);
});

test('runSmtpd() asks for no check of a recipient that it refuses itself', async () => {
  writeControl(join(home, 'control'), { rcpthosts: 'b\n', badmailfrom: '@bad\n' });
  const { replies } = await serve(
    ['MAIL FROM:<s@a>\r\nRCPT TO:<r@c>\r\nMAIL FROM:<s@bad>\r\nRCPT TO:<r@b>\r\n'],
    { checkRecipient: () => assert.fail('asked') },
  );
  assert.deepEqual(replies.slice(1), [
    '250 ok',
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    '250 ok',
    '553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)',
  ]);
});

const REFUSED = "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)";
const RECIPIENTS = 'MAIL FROM:<s>\r\nRCPT TO:<r@A.b>\r\nRCPT TO:<r@x.c>\r\nRCPT TO:<r@c>\r\n';

test('runSmtpd() accepts the domains of morercpthosts.cdb besides those of rcpthosts', async () => {
  writeControl(join(home, 'control'), { rcpthosts: 'b\n', morercpthosts: 'a.B\n.c\n' });
  assert.deepEqual((await serve([RECIPIENTS])).replies.slice(2), ['250 ok', '250 ok', REFUSED]);
  rmSync(join(home, 'control/rcpthosts'));
  assert.deepEqual((await serve([RECIPIENTS])).replies.slice(2), ['250 ok', '250 ok', '250 ok']);
});

for (const [name, damage] of [
  ['is cut off', (path: string) => writeFileSync(path, 'short')],
  ['is a folder', (path: string) => mkdirSync(path)],
] as const) {
  test(`runSmtpd() ends with 421 at the first recipient that needs a morercpthosts.cdb that ${name}`, async () => {
    writeControl(join(home, 'control'), { rcpthosts: 'b\n' });
    damage(join(home, 'control/morercpthosts.cdb'));
    const { exit, replies } = await serve(['MAIL FROM:<s>\r\nRCPT TO:<r@b>\r\nRCPT TO:<r@c>\r\nNOOP\r\n']);
    assert.equal(exit, 1);
    assert.deepEqual(replies.slice(2), ['250 ok', '421 unable to read controls (#4.3.0)']);
  });
}

for (const name of ['me', 'smtpgreeting', 'rcpthosts', 'badmailfrom', 'databytes', 'timeoutsmtpd']) {
  test(`runSmtpd() says 421 and ends when control/${name} cannot be read`, async () => {
    rmSync(join(home, 'control', name), { force: true });
    mkdirSync(join(home, 'control', name));
    const want = { exit: 1, replies: ['421 unable to read controls (#4.3.0)'] };
    assert.deepEqual(await serve([]), want);
  });
}

test('runSmtpd() says 421 and ends without its home', async () => {
  const { exit, replies } = await serve([], { home: '/no/home' });
  assert.deepEqual([exit, replies], [1, ['421 unable to read controls (#4.3.0)']]);
});

test('runSmtpd() says 421 and tells the administrator when it does not understand smtpextensions', async () => {
  writeFileSync(join(home, 'control/smtpextensions'), '# all\nsize\nsise\n');
  const texts: string[] = [];
  const { exit, replies } = await serve([], { complain: (text) => texts.push(text) });
  assert.deepEqual([exit, replies], [1, ['421 unable to read controls (#4.3.0)']]);
  const path = `${home}/control/smtpextensions`;
  assert.deepEqual(texts, [`Cannot understand ${path}: unknown item "sise"; see qmail-smtpd(8)`]);
  const { replies: announced } = await serve(['EHLO x\r\n'], { env: { SMTPEXTENSIONS: ' size  errors=3' } });
  assert.equal(announced[3], '250-SIZE 0');
});

for (const [databytes, want] of [
  [undefined, '552 sorry, that message size exceeds my databytes limit (#5.3.4)'],
  ['3', '250 ok 1000000000 qp 4711'],
  ['junk', '250 ok 1000000000 qp 4711'],
  ['4294967296', '250 ok 1000000000 qp 4711'],
  ['4294967298', '552 sorry, that message size exceeds my databytes limit (#5.3.4)'],
] as const) {
  test(`runSmtpd() judges 3 bytes by DATABYTES=${databytes} over control/databytes=2`, async () => {
    writeFileSync(join(home, 'control/databytes'), '2\n');
    const env = databytes === undefined ? {} : { DATABYTES: databytes };
    const { replies } = await serve([`${START}hi\r\n.\r\n`], { env });
    assert.equal(replies[4], want);
    assert.equal(calls.at(-1)!.slice(0, 5), want.startsWith('552') ? 'abort' : 'finis');
  });
}

async function socketPair(): Promise<{ client: Socket; server: Socket }> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<Socket[]>;
  const client = connect((listener.address() as { port: number }).port, '127.0.0.1');
  const server = (await accepted)[0]!;
  listener.close();
  return { client, server };
}

const nextText = async (socket: Socket): Promise<string> => String((await once(socket, 'data'))[0]);

test('runSmtpd() offers STARTTLS where there is a certificate, and takes mail under it', {
  skip,
}, async () => {
  symlinkSync(certificate!.path, join(home, 'control/servercert.pem'));
  const { client, server } = await socketPair();
  const connection = openSocketInputOutput(server);
  const exit = serve([], { ...connection, clock: SYSTEM_CLOCK });
  assert.equal(await nextText(client), '220 mx.example ESMTP\r\n');
  client.write('EHLO me\r\n');
  assert.match(await nextText(client), /^250-STARTTLS\r$/m);
  client.write('STARTTLS\r\n');
  assert.equal(await nextText(client), '220 ready for TLS\r\n');
  const secure = connectTls({ socket: client, ca: certificate!.cert, servername: 'mx.example.org' });
  await once(secure, 'secureConnect');
  secure.write(`${START}hi\r\n.\r\nQUIT\r\n`);
  let said = '';
  while (!said.includes('221 ')) said += await nextText(secure);
  assert.equal((await exit).exit, 0);
  secure.destroy();
  await connection.close(SYSTEM_CLOCK);
  assert.match(said, /^250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok \d+ qp 4711\r\n221 mx\.example\r\n$/);
  assert.match(calls[0]!, /\n {2}by unknown with ESMTPS; /);
});

test('runSmtpd() ends a session whose handshake fails', { skip }, async () => {
  symlinkSync(certificate!.path, join(home, 'control/servercert.pem'));
  const { client, server } = await socketPair();
  const connection = openSocketInputOutput(server);
  const exit = serve([], { ...connection, clock: SYSTEM_CLOCK });
  client.write('STARTTLS\r\n');
  let said = await nextText(client);
  while (!said.includes('TLS')) said += await nextText(client);
  client.write(`${START}hi\r\n.\r\n`);
  assert.equal((await exit).exit, 1);
  client.destroy();
  assert.deepEqual(calls, []);
});

test('runSmtpd() goes on in clear when the certificate is of no use', async () => {
  writeFileSync(join(home, 'control/servercert.pem'), 'no certificate');
  const texts: string[] = [];
  const { exit, replies } = await serve(['STARTTLS\r\n', 'QUIT\r\n'], {
    startTls: () => assert.fail('started'),
    complain: (text) => texts.push(text),
  });
  assert.deepEqual([exit, replies[1]], [0, '454 TLS not available now (#4.7.0)']);
  assert.match(texts.join(), /^Cannot use .*servercert\.pem: /);
});

test('runSmtpd() serves a hundred sessions at a time in one process', async () => {
  const runs = Array.from({ length: 100 }, () => serve([START, 'hi\r\n', '.\r\nQUIT\r\n']));
  for (const { exit, replies } of await Promise.all(runs)) assert.deepEqual([exit, replies.length], [0, 6]);
  assert.equal(calls.filter((call) => call.startsWith('finish')).length, 100);
});
