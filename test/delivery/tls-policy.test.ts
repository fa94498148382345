// Sending by SMTP where TLS is asked for: by control/tlspolicy, MTA-STS or DANE. Each row is a server with a certificate or a
// fault and what becomes of a message; where TLS is asked for, no command that names a sender may go out without it.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { StsPolicy } from '../../src/core/policy/mta-sts.ts';
import type { Destination } from '../../src/core/policy/route.ts';
import { parseTlsRules, TlsRules } from '../../src/core/policy/tls-rules.ts';
import type { StsPolicies } from '../../src/delivery/mta-sts.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { TlsPolicy, type TlsPolicySettings } from '../../src/delivery/tls-policy.ts';
import { createValidatingDnsClient } from '../../src/host/dns-client.ts';
import { createLineLog } from '../../src/host/log.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { type IssuedCertificate, makeAuthority, type TestAuthority } from '../support/authority.ts';
import { type DnsZone, startFakeDns } from '../support/fake-dns-server.ts';
import { missingPeers } from '../support/peers.ts';
import { agree, type Reply, ScriptedServer, type TlsFiles } from './smtp-server.ts';

const skip = missingPeers('openssl');
let authority: TestAuthority;
let stranger: TestAuthority;
const certificates = new Map<string, IssuedCertificate>();

before(() => {
  if (skip !== false) return;
  authority = makeAuthority();
  stranger = makeAuthority();
  certificates.set('good', authority.issue('mx1.far.example'));
  certificates.set('wrong name', authority.issue('other.example'));
  certificates.set('expired', authority.issue('mx1.far.example', -1));
  certificates.set('stranger', stranger.issue('mx1.far.example'));
});

after(() => {
  authority?.remove();
  stranger?.remove();
});

const RESOLVER = {
  resolveMx: async () => [{ exchange: 'mx1.far.example', priority: 10 }],
  resolve4: async () => ['127.0.0.1'],
  resolve6: async () => [],
};

const FAR = { key: 'far.example', host: 'far.example', routed: false };

interface Sent {
  readonly outcome: string;
  readonly server: ScriptedServer;
  readonly log: string;
}

/** Sends one message, or more. */
async function send(
  server: ScriptedServer,
  tls: TlsPolicySettings,
  { destination = {}, times = 1 }: { destination?: Partial<Destination>; times?: number } = {},
): Promise<Sent> {
  const lines: string[] = [];
  const clock = new ManualClock(Date.now());
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 2000, timeoutRemoteMs: 2000, clock, idleMs: 0 },
    lookUp: { ownAddresses: () => new Set(), resolver: RESOLVER },
    tls: new TlsPolicy({ log: createLineLog((line) => lines.push(line)), ...tls }),
  });
  let outcome = '';
  for (let i = 0; i < times; i++) {
    const { outcomes } = await transport.deliver({
      destination: { ...FAR, port: server.port, ...destination },
      ...{ sender: bytesOf('s@a.example'), recipients: [bytesOf('u@far.example')], message: bytesOf('x\n') },
    });
    outcome = `${outcomes[0]?.letter} ${outcomes[0]?.text}`;
  }
  await transport.close();
  await server.close();
  return { outcome, server, log: lines.join('') };
}

function rulesOf(...entries: string[]): TlsRules {
  const rules = parseTlsRules(entries.map(bytesOf));
  assert.ok(rules instanceof TlsRules, String(rules));
  return rules;
}

function ruleWith(level: string, ca = level.includes('ca=ours')): TlsPolicySettings {
  const authorities = new Map(ca ? [['ours', [authority.pem]]] : []);
  return { rules: rulesOf(`far.example:${level}`), authorities };
}

/** What goes wrong in a handshake, by name. */
const FAULTS: Readonly<Record<string, Reply>> = {
  'not offered': agree(),
  refused: (input) => (input?.startsWith('STARTTLS') ? '454 not now\r\n' : agree('STARTTLS')(input)),
  'no handshake': (input) =>
    input?.startsWith('STARTTLS') ? '220 now\r\n500 this is not TLS\r\n' : agree('STARTTLS')(input),
  'closed in the handshake': (input) => (input?.startsWith('STARTTLS') ? null : agree('STARTTLS')(input)),
  'no EHLO': (input) => (input?.startsWith('EHLO') ? '502 what\r\n' : agree()(input)),
};

function serverWith(name: string): Promise<ScriptedServer> {
  const fault = FAULTS[name];
  if (fault !== undefined) return ScriptedServer.start(fault);
  return ScriptedServer.start(agree('STARTTLS'), certificates.get(name));
}

const NO_WAY = /^Z Connected to 127\.0\.0\.1 but TLS is not as control\/tlspolicy wants: .*\(#4\.7\.5\)\n$/;
const ALWAYS = /^K /;

const ROWS: readonly [level: string, server: string, want: RegExp][] = [
  ...['none', 'may', 'may,only'].flatMap((level) =>
    ['good', 'wrong name', ...Object.keys(FAULTS)].map((server): [string, string, RegExp] => [
      level,
      server,
      ALWAYS,
    ]),
  ),
  ['encrypt', 'good', ALWAYS],
  ['encrypt', 'wrong name', ALWAYS],
  ['encrypt', 'expired', ALWAYS],
  ...Object.keys(FAULTS).map((server): [string, string, RegExp] => ['encrypt', server, NO_WAY]),
  ['verify,ca=ours', 'good', ALWAYS],
  ['verify,name=other.example,ca=ours', 'wrong name', ALWAYS],
  ['verify,name=other.example,ca=ours', 'good', /certificate is not one of other\.example/],
  ['verify,ca=ours', 'wrong name', /certificate is not one of mx1\.far\.example\. \(#4\.7\.5\)\n$/],
  ['verify,ca=ours', 'expired', /not valid: CERT_HAS_EXPIRED/],
  ['verify,ca=ours', 'stranger', /not valid: SELF_SIGNED_CERT_IN_CHAIN/],
  ['verify', 'good', /not valid: SELF_SIGNED_CERT_IN_CHAIN/],
  ...Object.keys(FAULTS).map((server): [string, string, RegExp] => ['verify,ca=ours', server, NO_WAY]),
  ['dane', 'good', /^Z I don't use mx1\.far\.example: DANE has nothing to say about it/],
];

for (const [level, name, want] of ROWS) {
  test(`${level} and a server with ${name}: ${want.source}`, { skip }, async () => {
    const { outcome, server } = await send(await serverWith(name), ruleWith(level));
    assert.match(outcome, want);
    assert.equal(server.messages.length, want === ALWAYS ? 1 : 0);
    const isDemanded = !level.startsWith('none') && !level.startsWith('may');
    if (isDemanded)
      for (const talk of server.received) assert.doesNotMatch(talk.split('STARTTLS')[0]!, /MAIL/);
    if (level === 'none') assert.doesNotMatch(server.received.join(''), /STARTTLS/);
    if (want !== ALWAYS) assert.doesNotMatch(server.received.join(''), /MAIL/);
  });
}

test('TLS older than 1.2 is none', { skip }, async () => {
  const old: TlsFiles = { ...certificates.get('good')!, maxVersion: 'TLSv1.1' };
  const start = () => ScriptedServer.start(agree('STARTTLS'), old);
  assert.match((await send(await start(), ruleWith('encrypt'))).outcome, NO_WAY);
  const { outcome, server } = await send(await start(), {});
  assert.match(outcome, ALWAYS);
  assert.equal(server.received.length, 2);
});

test('a TLS session is taken up again by the next connection', { skip }, async () => {
  for (const level of ['may', 'verify,ca=ours']) {
    const { outcome, server } = await send(await serverWith('good'), ruleWith(level), { times: 3 });
    assert.match(outcome, ALWAYS);
    assert.deepEqual(server.resumed, [false, true, true], level);
  }
});

test('implicit TLS is never replaced by none', { skip }, async () => {
  const files = { ...certificates.get('good')!, atOnce: true };
  const relay = { protocol: 'smtps', routed: true, host: '127.0.0.1' } as const;
  const good = await send(await ScriptedServer.start(agree(), files), {}, { destination: relay });
  assert.match(good.outcome, ALWAYS);
  assert.match(good.server.received[0]!, /^EHLO me\.example\r\nMAIL/);
  const plain = await send(await ScriptedServer.start(agree()), {}, { destination: relay });
  assert.match(plain.outcome, /^Z Connected to 127\.0\.0\.1 but TLS is not as/);
  assert.equal(plain.server.received.length, 1);
  assert.doesNotMatch(plain.server.received[0]!, /EHLO/);
});

const stsOf = (policy: StsPolicy) => ({ find: async () => policy }) as unknown as StsPolicies;
const policy = (mode: StsPolicy['mode'], ...mx: string[]): StsPolicy => ({ mode, mx, maxAgeSeconds: 86_400 });

test('MTA-STS in force: a host must be named, and show a valid certificate', { skip }, async () => {
  const named = { sts: stsOf(policy('enforce', '*.far.example')) };
  for (const [server, want] of [
    ['good', /TLS is not as MTA-STS wants: its certificate is not valid: SELF_SIGNED_CERT_IN_CHAIN/],
    ['not offered', /TLS is not as MTA-STS wants: /],
    ['no handshake', /TLS is not as MTA-STS wants: /],
  ] as const) {
    const { outcome, server: asked } = await send(await serverWith(server), named);
    assert.match(outcome, want);
    assert.doesNotMatch(asked.received.join(''), /MAIL/);
  }
  const other = await send(await serverWith('good'), { sts: stsOf(policy('enforce', 'mx2.far.example')) });
  assert.match(other.outcome, /^Z I don't use mx1\.far\.example: MTA-STS does not name it\. \(#4\.7\.5\)/);
  assert.deepEqual(other.server.received, []);
});

test('MTA-STS in its test mode: what is wrong is told, and the mail goes', { skip }, async () => {
  const rows: [string, StsPolicy, RegExp][] = [
    ['good', policy('testing', 'mx1.far.example'), /tls\.testing .*host=mx1\.far\.example .*SELF_SIGNED/],
    ['not offered', policy('testing', 'mx1.far.example'), /tls\.testing .*"it is not in use"/],
    ['good', policy('testing', 'mx2.far.example'), /tls\.testing .*"MTA-STS does not name it"/],
  ];
  for (const [server, said, want] of rows) {
    const { outcome, log } = await send(await serverWith(server), { sts: stsOf(said) });
    assert.match(outcome, ALWAYS);
    assert.match(log, want);
  }
});

test('a session that only passed a test is not taken up when the policy is in force', { skip }, async () => {
  let mode: StsPolicy['mode'] = 'testing';
  const sts = { find: async () => policy(mode, 'mx1.far.example') } as unknown as StsPolicies;
  const clock = new ManualClock(Date.now());
  const server = await serverWith('good');
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 2000, timeoutRemoteMs: 2000, clock, idleMs: 0 },
    lookUp: { ownAddresses: () => new Set(), resolver: RESOLVER },
    tls: new TlsPolicy({ sts }),
  });
  const letters: (string | undefined)[] = [];
  for (mode of ['testing', 'enforce'] as const) {
    const { outcomes } = await transport.deliver({
      destination: { ...FAR, port: server.port },
      ...{ sender: bytesOf(''), recipients: [bytesOf('u@far.example')], message: bytesOf('x\n') },
    });
    letters.push(outcomes[0]?.letter);
  }
  assert.deepEqual(letters, ['K', 'Z']);
  await transport.close();
  await server.close();
});

test('a rule that stands alone keeps MTA-STS out', { skip }, async () => {
  const sts = stsOf(policy('enforce', 'mx2.far.example'));
  for (const level of ['none', 'may,only', 'encrypt,only']) {
    assert.match((await send(await serverWith('good'), { ...ruleWith(level), sts })).outcome, ALWAYS);
  }
  assert.match((await send(await serverWith('good'), { ...ruleWith('encrypt'), sts })).outcome, /^Z/);
});

/** What a TLSA record says of the first or second certificate in PEM: `usage selector matching hex`. */
function tlsa(usage: number, selector: number, matching: number, pem: string): string {
  const certificate = new X509Certificate(pem);
  const bytes =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  const hash = ['', 'sha256', 'sha512'][matching]!;
  const data = hash === '' ? bytes : createHash(hash).update(bytes).digest();
  return `${usage} ${selector} ${matching} ${data.toString('hex')}`;
}

const SECURE_ZONE: DnsZone = {
  'far.example MX': ['10 mx1.far.example'],
  'mx1.far.example A': ['127.0.0.1'],
  'mx1.far.example AAAA': [],
};

async function sendWithDane(
  name: string,
  records: readonly string[] | 'SERVFAIL' | undefined,
  {
    level = 'may',
    isSecure = () => true,
    times = 1,
  }: { level?: string; isSecure?: (question: string) => boolean; times?: number } = {},
): Promise<Sent> {
  const server = await serverWith(name);
  const zone = { ...SECURE_ZONE, ...(records && { [`_${server.port}._tcp.mx1.far.example TLSA`]: records }) };
  const dns = await startFakeDns({ host: '127.0.0.1', port: 0, zone }, { isSecure });
  const clock = new ManualClock();
  const askValidating = createValidatingDnsClient({ servers: ['127.0.0.1'], port: dns.port, clock });
  const sts = stsOf(policy('enforce', 'mx2.far.example'));
  const sent = await send(
    server,
    { rules: rulesOf(`:${level}`), askValidating, ...(level === 'may' && records ? { sts } : {}) },
    { times },
  );
  await dns.stop();
  return sent;
}

test('DANE: each form of a usable record lets the right certificate pass, and precedes MTA-STS', {
  skip,
}, async () => {
  const good = certificates.get('good')!.cert;
  for (const [name, record] of [
    ['good', tlsa(3, 1, 1, good)],
    ['good', tlsa(3, 0, 0, good)],
    ['good', tlsa(3, 0, 2, good)],
    ['good', tlsa(3, 1, 0, good)],
    ['wrong name', tlsa(3, 1, 1, certificates.get('wrong name')!.cert)],
    ['expired', tlsa(3, 1, 1, certificates.get('expired')!.cert)],
    ['good', tlsa(2, 0, 1, authority.pem)],
    ['good', tlsa(2, 1, 2, authority.pem)],
    ['stranger', tlsa(2, 0, 0, stranger.pem)],
  ] as const) {
    const { outcome } = await sendWithDane(name, ['3 1 3 00', record]);
    assert.match(outcome, ALWAYS, `${name} ${record.slice(0, 5)}`);
  }
  const { outcome, server } = await sendWithDane('good', [tlsa(2, 0, 1, authority.pem)], {
    level: 'dane',
    times: 2,
  });
  assert.match(outcome, ALWAYS);
  assert.deepEqual(server.resumed, [false, false]);
});

test('DANE: whatever the records do not name is not sent to', { skip }, async () => {
  const good = certificates.get('good')!.cert;
  const rows: [string, readonly string[] | 'SERVFAIL', RegExp][] = [
    [
      'stranger',
      [tlsa(3, 1, 1, good)],
      /TLS is not as DANE wants: no TLSA record of it is about a certificate/,
    ],
    ['stranger', [tlsa(2, 0, 1, authority.pem)], /no TLSA record of it is about a certificate/],
    [
      'wrong name',
      [tlsa(2, 0, 1, authority.pem)],
      /its certificate is not one of mx1\.far\.example, far\.example/,
    ],
    ['expired', [tlsa(2, 0, 1, authority.pem)], /its certificate is not valid at this time/],
    ['not offered', [tlsa(3, 1, 1, good)], /TLS is not as DANE wants/],
    ['no handshake', [tlsa(3, 1, 1, good)], /TLS is not as DANE wants/],
    ['not offered', ['1 1 1 00'], /TLS is not as DANE wants/],
    ['good', 'SERVFAIL', /^Z I don't use mx1\.far\.example: its TLSA records cannot be looked up/],
  ];
  for (const [name, records, want] of rows) {
    const { outcome, server } = await sendWithDane(name, records);
    assert.match(outcome, want, `${name} ${String(records).slice(0, 5)}`);
    assert.doesNotMatch(server.received.join(''), /MAIL/);
  }
});

test('DANE says nothing where the way to the records is not validated, or there are none', {
  skip,
}, async () => {
  const wrong = [tlsa(3, 1, 1, certificates.get('wrong name')!.cert)];
  for (const question of ['far.example MX', 'mx1.far.example A', 'mx1.far.example AAAA', 'TLSA']) {
    const isSecure = (asked: string) => !asked.endsWith(question);
    const { outcome } = await sendWithDane('good', wrong, { isSecure, level: 'may,only' });
    assert.match(outcome, ALWAYS, question);
    const encrypted = await sendWithDane('good', wrong, { isSecure, level: 'encrypt' });
    assert.match(encrypted.outcome, ALWAYS, question);
  }
  assert.match((await sendWithDane('good', undefined)).outcome, ALWAYS);
  assert.match((await sendWithDane('good', undefined, { level: 'dane' })).outcome, /^Z I don't use/);
});
