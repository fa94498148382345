// Sending to relays that want a name and a password, to LMTP servers, and past hosts that refuse.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { findDestination } from '../../src/core/policy/route.ts';
import { parseTlsRules, type TlsRules } from '../../src/core/policy/tls-rules.ts';
import { LocalLmtpTransport, readLocalLmtp } from '../../src/delivery/local-lmtp.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { readSmtpLogins, type SmtpLogins } from '../../src/delivery/smtp-logins.ts';
import { TlsPolicy, type TlsPolicySettings } from '../../src/delivery/tls-policy.ts';
import type { RemoteResult } from '../../src/delivery/transport.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { type IssuedCertificate, makeAuthority, type TestAuthority } from '../support/authority.ts';
import { missingPeers } from '../support/peers.ts';
import { agree, type Place, type Reply, ScriptedServer } from './smtp-server.ts';

const skip = missingPeers('openssl');
const folder = mkdtempSync(join(tmpdir(), 'relays-'));
let authority: TestAuthority;
let certificate: IssuedCertificate;

before(() => {
  if (skip !== false) return;
  authority = makeAuthority();
  certificate = authority.issue('relay.example');
});

after(() => {
  rmSync(folder, { recursive: true });
  authority?.remove();
});

interface Options {
  readonly tls?: TlsPolicySettings;
  readonly recipients?: readonly string[];
  readonly sender?: string;
  /** Addresses of exchangers, in order; `relay.example` is at the first. */
  readonly addresses?: readonly string[];
}

/** Sends a message by a route, or by MX records if it is empty. */
async function send(
  route: string,
  {
    tls = {},
    recipients = ['u@far.example'],
    sender = 's@a.example',
    addresses = ['127.0.0.1'],
  }: Options = {},
  port?: number,
): Promise<RemoteResult> {
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 2000, timeoutRemoteMs: 400, clock: new ManualClock() },
    lookUp: {
      ownAddresses: () => new Set(),
      resolver: {
        resolveMx: async () => addresses.map((_, i) => ({ exchange: `mx${i}.far.example`, priority: i })),
        resolve4: async (name) => [addresses[Number(/^mx(\d)/.exec(name)?.[1] ?? 0)]!],
        resolve6: async () => [],
      },
    },
    tls: new TlsPolicy(tls),
  });
  const destination = findDestination(bytesOf('u@far.example'), parseDomainMap([bytesOf(`:${route}`)]))!;
  const result = await transport.deliver({
    destination: port === undefined ? destination : { ...destination, port },
    ...{ sender: bytesOf(sender), recipients: recipients.map(bytesOf), message: bytesOf('x\n') },
  });
  await transport.close();
  return result;
}

const reports = ({ outcomes }: RemoteResult) => outcomes.map(({ letter, text }) => `${letter} ${text}`);

// ---- logins

const CHALLENGES: Reply = (input) => {
  if (input?.startsWith('AUTH LOGIN')) return '334 VXNlcm5hbWU6\r\n';
  if (input?.startsWith('dXNlcg==')) return '334 UGFzc3dvcmQ6\r\n';
  return agree('AUTH LOGIN', 'STARTTLS')(input);
};

const loginTo = (relay: string, inClear = false): SmtpLogins =>
  new Map([[relay, { user: 'user', password: 'pass w\xf6rd', inClear }]]);

const PLAIN = `AUTH PLAIN ${Buffer.from('\0user\0pass w\xf6rd').toString('base64')}\r\n`;

function rules(entry: string): TlsRules {
  return parseTlsRules([bytesOf(entry)]) as TlsRules;
}

test('a relay on this machine gets the password in clear, anybody else only under TLS that is demanded', {
  skip,
}, async () => {
  const settings = (more: TlsPolicySettings): TlsPolicySettings => ({
    logins: loginTo('relay.example'),
    authorities: new Map([['ours', [authority.pem]]]),
    ...more,
  });
  const good = 'relay.example:verify,ca=ours';
  for (const [entry, want] of [
    [good, /^K /],
    ['relay.example:encrypt', /^K /],
    ['relay.example:none', /^K /],
    [undefined, /^Z Connected to 127\.0\.0\.1 but TLS is not as control\/smtpauth wants: .*SELF_SIGNED/],
    ['relay.example:verify', /^Z Connected to 127\.0\.0\.1 but TLS is not as control\/tlspolicy wants/],
  ] as const) {
    const server = await ScriptedServer.start(agree('STARTTLS', 'AUTH LOGIN PLAIN'), certificate);
    const tls = settings(entry === undefined ? {} : { rules: rules(entry) });
    const [report] = reports(await send(`relay.example:${server.port}`, { tls }));
    assert.match(report!, want, String(entry));
    assert.equal(server.received.join('').includes(PLAIN), report!.startsWith('K'), String(entry));
    await server.close();
  }
});

test('without TLS no password leaves this machine, unless its line says so', async () => {
  // The address of another interface, as far as a loopback network has one.
  const { password: _, ...login } = loginTo('x').get('x')!;
  for (const [inClear, sent] of [
    [false, false],
    [true, true],
  ] as const) {
    const server = await ScriptedServer.start(agree('AUTH PLAIN'));
    const logins: SmtpLogins = new Map([['relay.example', { ...login, password: 'p', inClear }]]);
    const connectTls = { logins, ...(inClear ? {} : { rules: rules('relay.example:may') }) };
    const result = await sendFromAfar(`relay.example:${server.port}`, connectTls);
    assert.equal(server.received.join('').includes('AUTH PLAIN '), sent);
    if (!sent) {
      assert.deepEqual(reports(result), [
        'Z Connected to 192.0.2.1 but could not log in: the password is sent with TLS that is demanded only. (#4.7.0)\n',
      ]);
    }
    await server.close();
  }
});

/** Sends to a relay that believes itself far away. */
async function sendFromAfar(route: string, tls: TlsPolicySettings): Promise<RemoteResult> {
  const { connectSocket } = await import('../../src/delivery/connect-socket.ts');
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 2000, timeoutRemoteMs: 2000, clock: new ManualClock() },
    connect: (_address, port, timeoutMs, signal) => connectSocket('127.0.0.1', port, timeoutMs, signal),
    lookUp: {
      resolver: { resolveMx: async () => [], resolve4: async () => ['192.0.2.1'], resolve6: async () => [] },
    },
    tls: new TlsPolicy(tls),
  });
  const destination = findDestination(bytesOf('u@far.example'), parseDomainMap([bytesOf(`:${route}`)]))!;
  const result = await transport.deliver({
    ...{
      destination,
      sender: bytesOf('s@a.example'),
      recipients: [bytesOf('u@far.example')],
      message: bytesOf('x\n'),
    },
  });
  await transport.close();
  return result;
}

test('a login goes by LOGIN where there is no PLAIN', async () => {
  const server = await ScriptedServer.start(CHALLENGES);
  const logins: SmtpLogins = new Map([
    [`127.0.0.1:${server.port}`, { user: 'user', password: 'p', inClear: true }],
  ]);
  const tls = { logins, rules: rules(':none') };
  assert.match(reports(await send(`127.0.0.1:${server.port}`, { tls }))[0]!, /^K /);
  assert.match(server.received[0]!, /AUTH LOGIN\r\ndXNlcg==\r\ncA==\r\nMAIL FROM/);
  await server.close();
});

test('a relay that does not want the password makes all its mail wait, in words without the password', async () => {
  for (const [name, reply, want] of [
    [
      'refused',
      '535 5.7.8 wrong\r\n',
      'Z Connected to 127.0.0.1 but could not log in.\nRemote host said: 535 5.7.8 wrong\n',
    ],
    [
      'later',
      '454 4.7.0 later\r\n',
      'Z Connected to 127.0.0.1 but could not log in.\nRemote host said: 454 4.7.0 later\n',
    ],
    ['lost', null, 'Z Connected to 127.0.0.1 but connection died. (#4.4.2)\n'],
    ['silent', 'HANG', 'Z Connected to 127.0.0.1 but connection died. (#4.4.2)\n'],
  ] as const) {
    const server = await ScriptedServer.start((input) =>
      input?.startsWith('AUTH') ? reply : agree('AUTH PLAIN')(input),
    );
    const tls = { logins: loginTo('127.0.0.1') };
    const result = await send(`127.0.0.1:${server.port}`, { tls });
    assert.deepEqual(reports(result), [want], name);
    if (reply?.startsWith('5') === true) assert.equal(result.contact, 'none');
    await server.close();
  }
  const server = await ScriptedServer.start(agree());
  const result = await send(`127.0.0.1:${server.port}`, { tls: { logins: loginTo('127.0.0.1') } });
  assert.deepEqual(reports(result), [
    'Z Connected to 127.0.0.1 but could not log in: it does not offer that. (#4.7.0)\n',
  ]);
  await server.close();
});

test('control/smtpauth is read with the files it names, and refused when everybody may read a password', () => {
  const control = join(folder, 'control');
  mkdirSync(control, { recursive: true });
  const path = join(control, 'smtpauth');
  assert.equal(readSmtpLogins(folder).size, 0);
  writeFileSync(path, '# ours\nrelay.example user p\xc3\xa4ss\nother:587 me @control/secret\n', 'latin1');
  chmodSync(path, 0o640);
  assert.throws(() => readSmtpLogins(folder), /Cannot read .*control\/secret: ENOENT/);
  const secret = join(control, 'secret');
  writeFileSync(secret, 'from file\n', { mode: 0o600 });
  const logins = readSmtpLogins(folder);
  assert.deepEqual(logins.get('relay.example'), { user: 'user', password: 'p\xe4ss', inClear: false });
  assert.equal(logins.get('other:587')?.password, 'from file');
  chmodSync(secret, 0o604);
  assert.throws(
    () => readSmtpLogins(folder),
    /Cannot use .*secret: it holds a password and everybody may read it/,
  );
  chmodSync(secret, 0o600);
  chmodSync(path, 0o644);
  assert.throws(
    () => readSmtpLogins(folder),
    /Cannot use .*smtpauth: it holds a password and everybody may read it/,
  );
});

// ---- LMTP

test('an LMTP server answers for each recipient by itself', async () => {
  const path = join(folder, 'lmtp');
  const server = await ScriptedServer.start(
    (input) => {
      if (input?.startsWith('RCPT TO:<no@')) return '550 5.1.1 unknown\r\n';
      if (input?.endsWith('.\r\n') && !input.includes(':')) {
        return '250 2.0.0 stored\r\n452 4.2.2 full\r\n552 5.2.3 too large\r\n250 2.0.0 last\r\n';
      }
      return agree('PIPELINING')(input);
    },
    undefined,
    { path },
  );
  const recipients = ['a@far.example', 'no@far.example', 'b@far.example', 'c@far.example', 'a@far.example'];
  assert.deepEqual(reports(await send(`lmtp:${path}`, { recipients })), [
    `K ${path} accepted message.\nRemote host said: 250 2.0.0 stored\n`,
    `D ${path} does not like recipient.\nRemote host said: 550 5.1.1 unknown\nGiving up on ${path}.\n`,
    `Z ${path} failed after I sent the message.\nRemote host said: 452 4.2.2 full\n`,
    `D ${path} failed after I sent the message.\nRemote host said: 552 5.2.3 too large\n`,
    `K ${path} accepted message.\nRemote host said: 250 2.0.0 last\n`,
  ]);
  assert.match(server.received[0]!, /^LHLO me\.example\r\nMAIL FROM/);
  await server.close();
});

test('an LMTP server that is lost between its replies has given those that came', async () => {
  const server = await ScriptedServer.start((input) =>
    input === 'x\r\n.\r\n' ? '250 2.0.0 stored\r\n45' : agree()(input),
  );
  const recipients = ['a@far.example', 'b@far.example'];
  assert.deepEqual(reports(await send(`lmtp:127.0.0.1:${server.port}`, { recipients })), [
    'K 127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 stored\n',
    'Z Connected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n',
  ]);
  await server.close();
});

test('control/locallmtp sends local mail to a socket or a host, under the address that its sender knows', async () => {
  const control = join(folder, 'control');
  mkdirSync(control, { recursive: true });
  const path = join(control, 'locallmtp');
  assert.equal(readLocalLmtp(folder), undefined);
  for (const [line, host, port] of [
    ['/run/dovecot/lmtp', '/run/dovecot/lmtp', 0],
    ['mail.example', 'mail.example', 24],
    ['127.0.0.1:2424', '127.0.0.1', 2424],
  ] as const) {
    writeFileSync(path, `${line}\n`);
    const found = readLocalLmtp(folder);
    assert.deepEqual([found?.host, found?.port, found?.protocol, found?.routed], [host, port, 'lmtp', true]);
  }
  writeFileSync(path, '\n');
  assert.throws(() => readLocalLmtp(folder), /Cannot understand .*locallmtp/);
  const asked: string[] = [];
  const transport = new LocalLmtpTransport(
    { key: 'k', host: '/s', port: 0, routed: true, protocol: 'lmtp' },
    {
      async deliver({ recipients }) {
        asked.push(...recipients.map((one) => Buffer.from(one).toString()));
        return { outcomes: [{ letter: 'K', text: '' }], contact: 'answered' };
      },
      close: async () => undefined,
    },
    () => parseDomainMap([bytesOf('virtual.example:joe')]),
  );
  const rest = {
    identity: { birthMs: 0, message: 1, recipient: 0 },
    sender: bytesOf(''),
    message: bytesOf('x\n'),
  };
  for (const address of ['joe-info@virtual.example', 'joe@local.example']) {
    assert.equal((await transport.deliver({ ...rest, address: bytesOf(address) })).letter, 'K');
  }
  assert.deepEqual(asked, ['info@virtual.example', 'joe@local.example']);
});

// ---- the next host

const at = (host: string, port: number): Place => ({ host, port });

test('a host that refuses, breaks off or is silent before MAIL is passed over for the next one', async () => {
  const refusals: [string, Reply | readonly (string | null)[]][] = [
    ['greets with 421', ['421 busy\r\n']],
    ['greets with 554', ['554 not you\r\n']],
    ['greets with 521', ['521 no mail here\r\n']],
    ['closes before its greeting', [null]],
    ['is silent', ['HANG']],
    ['greets with half a line', ['220 hel']],
    ['greets with junk', ['junk\r\n']],
    ['refuses EHLO and HELO', ['220 hi\r\n', '550 no\r\n', '550 no\r\n']],
    ['answers 421 to EHLO', ['220 hi\r\n', '421 no\r\n']],
    ['closes at EHLO', ['220 hi\r\n', null]],
  ];
  for (const [name, script] of refusals) {
    const next = await ScriptedServer.start(agree(), undefined, { host: '127.0.0.2' });
    const first = await ScriptedServer.start(script, undefined, at('127.0.0.1', next.port));
    const result = await send('', { addresses: ['127.0.0.1', '127.0.0.2'] }, next.port);
    assert.match(reports(result)[0]!, /^K 127\.0\.0\.2 accepted/, name);
    assert.equal(result.contact, 'answered');
    assert.equal(first.received.length, 1);
    await first.close();
    await next.close();
  }
});

test('when every host refuses the first one has the word, and 521 from all is final', async () => {
  for (const [first, second, want] of [
    ['450 one', '554 two', 'Z Connected to 127.0.0.1 but greeting failed.\nRemote host said: 450 one\n'],
    ['521 one', '450 two', 'Z Connected to 127.0.0.2 but greeting failed.\nRemote host said: 450 two\n'],
    [
      '521 one',
      '521 two',
      'D Connected to 127.0.0.1 but it does not accept mail.\nRemote host said: 521 one\n',
    ],
  ] as const) {
    const two = await ScriptedServer.start([`${second}\r\n`], undefined, { host: '127.0.0.2' });
    const one = await ScriptedServer.start([`${first}\r\n`], undefined, at('127.0.0.1', two.port));
    const result = await send('', { addresses: ['127.0.0.1', '127.0.0.2'] }, two.port);
    assert.deepEqual(reports(result), [want]);
    await one.close();
    await two.close();
  }
  const only = await ScriptedServer.start(['521 one\r\n']);
  const result = await send('', { addresses: ['127.0.0.1', '127.0.0.9'] }, only.port);
  assert.match(reports(result)[0]!, /^Z Sorry, I wasn't able to establish an SMTP connection/);
  await only.close();
});

test('what a host says of sender, recipient or message is the last word', async () => {
  for (const verb of ['MAIL', 'RCPT', 'DATA']) {
    const two = await ScriptedServer.start(agree(), undefined, { host: '127.0.0.2' });
    const refuse: Reply = (input) => (input?.startsWith(verb) ? '450 later\r\n' : agree()(input));
    const one = await ScriptedServer.start(refuse, undefined, at('127.0.0.1', two.port));
    const result = await send('', { addresses: ['127.0.0.1', '127.0.0.2'] }, two.port);
    assert.match(reports(result)[0]!, /^Z .*127\.0\.0\.1/, verb);
    assert.equal(two.received.length, 0);
    await one.close();
    await two.close();
  }
});

// ---- SMTPUTF8

test('an address that is not ASCII goes with SMTPUTF8, and nowhere without it', async () => {
  const wide = 'j\xc3\xb6rg@far.example';
  const refused = 'D 127.0.0.1 does not accept addresses that are not ASCII. (#5.6.7)\n';
  for (const [extensions, sender, recipients, want] of [
    [['SMTPUTF8'], 's@a.example', [wide, 'u@far.example'], ['K', 'K']],
    [[], 's@a.example', [wide, 'u@far.example', wide], [refused, 'K', refused]],
    [[], wide, ['u@far.example', 'v@far.example'], [refused, refused]],
    [[], 's@a.example', [wide], [refused]],
  ] as const) {
    const server = await ScriptedServer.start(agree(...extensions));
    const result = await send(`127.0.0.1:${server.port}`, { sender, recipients });
    assert.deepEqual(
      reports(result).map((report) => (report.startsWith('K') ? 'K' : report)),
      want,
    );
    assert.equal(server.messages.length, want.some((one) => one === 'K') ? 1 : 0);
    if (extensions.length > 0)
      assert.match(
        server.received[0]!,
        /MAIL FROM:<s@a\.example> SMTPUTF8\r\nRCPT TO:<j\xc3\xb6rg@far\.example>\r\n/,
      );
    else assert.doesNotMatch(server.received[0]!, /j\xc3\xb6rg/);
    await server.close();
  }
});
