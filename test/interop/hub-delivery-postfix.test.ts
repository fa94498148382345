// The hub in front of Postfix, as smarthost and as mail exchanger: every byte into the Maildir, TLS as it is asked for, logins,
// extensions, and refusals that come back with Postfix's words.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { type IssuedCertificate, makeAuthority, type TestAuthority } from '../support/authority.ts';
import { BODIES, messageOf, storedOf } from '../support/bodies.ts';
import { ROOT } from '../support/client-vectors.ts';
import { type Dovecot, missingDovecot, startDovecot } from '../support/dovecot.ts';
import { type DnsZone, type FakeDnsServer, startFakeDns } from '../support/fake-dns-server.ts';
import { HubProcess, makeHome, readMailbox, removeHome, submit } from '../support/hub-process.ts';
import { missingPeers } from '../support/peers.ts';
import { missingPostfix } from '../support/postfix.ts';
import { DEAD_ADDRESS, MX_ADDRESS, PostfixMailboxes } from '../support/postfix-mailboxes.ts';

const SMALL = 'Subject: small\n\nbody\n';
/** Domains with a relay each, by what is to come of it. */
const TLS_DOMAINS = ['may.example', 'encrypt.example', 'verify.example'];
const NO_TLS_DOMAINS = ['misnamed.example', 'distrust.example', 'plain.example', 'clear.example'];
const LOGIN_DOMAINS = ['login.example', 'wrong.example', 'stranger.example'];
const DOMAINS = [...TLS_DOMAINS, ...NO_TLS_DOMAINS, ...LOGIN_DOMAINS];
const VERIFY = 'verify,name=postfix.example,ca=control/ca.pem';

/** Checks that these are the messages of those names, as Postfix got them by that protocol. */
function assertWhole(messages: readonly string[], names: readonly string[], protocol: string): void {
  assert.equal(messages.length, names.length);
  for (const name of names) {
    const stored = messages.find((text) => text.includes(`\nSubject: ${name}\n`)) ?? '';
    assert.equal(stored.slice(stored.indexOf('\nFrom: joe') + 1), storedOf(name), name);
    assert.match(stored, /^Return-Path: <joe@hub\.example>\n/);
    assert.ok(stored.includes(`\n\tby postfix.example (Postfix) with ${protocol} id `), name);
  }
}

describe('Postfix, to which the hub sends,', {
  skip: missingPostfix() || missingPeers('openssl') || missingDovecot(),
}, () => {
  let authority: TestAuthority;
  let certificate: IssuedCertificate;
  let dovecot: Dovecot;
  let postfix: PostfixMailboxes;
  let dns: FakeDnsServer | undefined;
  let home: string;
  let hub: HubProcess;

  before(async () => {
    authority = makeAuthority();
    certificate = authority.issue('postfix.example');
    dovecot = await startDovecot({ 'user@hub.example': { password: 'secret' } });
    postfix = await PostfixMailboxes.start({ certificate, auth: dovecot.auth, domains: DOMAINS });
  });
  after(async () => {
    await postfix?.stop();
    await dovecot?.stop();
    authority?.remove();
  });
  afterEach(async () => {
    await hub?.end('SIGKILL');
    await dns?.stop();
    dns = undefined;
    removeHome(home);
    postfix.empty();
  });

  /** Starts a hub, which asks a resolver with that zone if there is one. */
  async function start(control: Readonly<Record<string, string>>, zone?: DnsZone): Promise<void> {
    const isSecure = (question: string) => !question.includes('may.example');
    dns = zone && (await startFakeDns({ host: '127.0.0.1', port: 0, zone }, { isSecure }));
    const resolver = dns && { dane: `127.0.0.1:${dns.port}\n` };
    const files = { 'ca.pem': authority.pem, locals: 'hub.example\n', ...resolver, ...control };
    home = makeHome(files);
    for (const name of Object.keys(files)) chmodSync(join(home, 'control', name), 0o640);
    hub = await HubProcess.start(home);
  }

  /** Sends a message; what is logged of each recipient, from the kind on. */
  async function send(message: string, ...recipients: string[]): Promise<string[]> {
    assert.match(await submit(hub.port, message, 'joe@hub.example', ...recipients), /^K/);
    const told: string[] = [];
    for (const recipient of recipients) {
      const shown = recipient.replaceAll(/[\x80-\xff]/g, (byte) => `\\\\x${byte.charCodeAt(0).toString(16)}`);
      const ofRecipient = new RegExp(
        `delivery\\.((?:success|failure|deferral) [^\n]*recipient="?${shown}"? [^\n]*)`,
      );
      await hub.untilLogged(ofRecipient);
      told.push(ofRecipient.exec(hub.log.text)![1]!);
    }
    return told;
  }

  it('as a smarthost, has every message with every byte', async () => {
    await start({ smtproutes: `:127.0.0.1:${postfix.ports.plain}\n` });
    const names = Object.keys(BODIES);
    for (const name of names) await submit(hub.port, messageOf(name), 'joe@hub.example', 'ann@far.example');
    await hub.untilLogged(/delivery\.success .*ann@far\.example/, names.length);
    assertWhole(await postfix.arrived('ann', names.length), names, 'ESMTP');
  });

  it('has every message of qmail-remote, too, but one whose last line has no end', async () => {
    await start({ smtproutes: `:127.0.0.1:${postfix.ports.plain}\n` });
    const args = ['far.example', 'joe@hub.example', 'ann@far.example'];
    const names = Object.keys(BODIES).filter((name) => name !== 'no last line end');
    const run = (name: string) => {
      const input = Buffer.from(messageOf(name), 'latin1');
      return spawnSync(join(ROOT, 'bin/qmail-remote'), args, {
        input,
        env: { QMAILHOME: home },
      }).stdout.toString();
    };
    for (const name of names)
      assert.match(
        run(name),
        /^r\0K127\.0\.0\.1 accepted message\.\nRemote host said: 250 2\.0\.0 Ok: queued as /,
      );
    assert.equal(
      run('no last line end'),
      'r\0DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n\0',
    );
    assertWhole(await postfix.arrived('ann', names.length), names, 'SMTP');
  });

  it('gets the envelope at once, with size, 8BITMIME and SMTPUTF8', async () => {
    const sent: string[] = [];
    const tap = createServer({ noDelay: true }, (client) => {
      const server = connect({ port: postfix.ports.plain, host: '127.0.0.1', noDelay: true });
      client.on('data', (bytes) => sent.push(bytes.toString('latin1')));
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
    try {
      await start({ smtproutes: `:127.0.0.1:${(tap.address() as AddressInfo).port}\n` });
      const wide = Buffer.from('jürgen@far.example').toString('latin1');
      await submit(hub.port, 'Subject: \xc3\xa4\n\n\xe9\n', 'joe@hub.example', wide, 'ann@far.example');
      await hub.untilLogged(/delivery\.success /, 2);
      assert.equal(sent[0], 'EHLO hub.example\r\n');
      const mail = 'MAIL FROM:<joe@hub.example> SMTPUTF8 BODY=8BITMIME SIZE=110\r\n';
      assert.equal(sent[1], `${mail}RCPT TO:<${wide}>\r\nRCPT TO:<ann@far.example>\r\nDATA\r\n`);
      for (const box of ['ann', 'utf8'])
        assert.match((await postfix.arrived(box))[0]!, / with UTF8SMTP id .*[\s\S]*\n\n\xe9\n$/);
    } finally {
      await hub.end('SIGKILL');
      await new Promise((resolve) => tap.close(resolve));
    }
  });

  it('gets TLS as control/tlspolicy asks for it, or nothing', async () => {
    const { tls, onlyTls, plain } = postfix.ports;
    const names = [...TLS_DOMAINS, ...NO_TLS_DOMAINS];
    const ports = new Map([
      ['may.example', tls],
      ['plain.example', plain],
    ]);
    const relays = names.map((name) => `${name}:relay.${name}:${ports.get(name) ?? onlyTls}\n`);
    const zone = Object.fromEntries(names.map((name) => [`relay.${name} A`, ['127.0.0.1']]));
    const policy = [
      'relay.encrypt.example:encrypt',
      `relay.verify.example:${VERIFY}`,
      'relay.misnamed.example:verify,ca=control/ca.pem',
      'relay.distrust.example:verify,name=postfix.example',
      'relay.plain.example:encrypt',
      'relay.clear.example:none',
    ];
    await start({ smtproutes: relays.join(''), tlspolicy: `${policy.join('\n')}\n` }, zone);
    for (const told of await send(SMALL, ...TLS_DOMAINS.map((name) => `ann@${name}`)))
      assert.match(told, /^success .* tls=TLSv1\.3/);
    const refusals = await send(SMALL, ...NO_TLS_DOMAINS.map((name) => `ann@${name}`));
    const fault = 'but TLS is not as control/tlspolicy wants:';
    const want = [
      `deferral .*${fault} its certificate is not one of relay\\.misnamed\\.example\\.`,
      `deferral .*${fault} its certificate is not valid: SELF_SIGNED_CERT_IN_CHAIN\\.`,
      `deferral .*${fault} it said 502 5\\.5\\.1 `,
      'failure .*but sender was rejected\\./Remote host said: 530 5\\.7\\.0 Must issue a STARTTLS',
    ];
    for (const [i, words] of want.entries()) assert.match(refusals[i]!, new RegExp(`^${words}`));
    const messages = await postfix.arrived('ann', 3);
    for (const message of messages) assert.match(message, /\n\t\(using TLSv1\.3 with cipher /);
    assert.equal(messages.length, 3);
  });

  it('asks for a name and a password, and does not take all', async () => {
    const { login } = postfix.ports;
    const relays = LOGIN_DOMAINS.map((name) => `${name}:relay.${name}:${login}\n`);
    const zone = Object.fromEntries(LOGIN_DOMAINS.map((name) => [`relay.${name} A`, ['127.0.0.1']]));
    await start(
      {
        smtproutes: relays.join(''),
        smtpauth: 'relay.login.example user@hub.example secret\nrelay.wrong.example user@hub.example guess\n',
        tlspolicy: `relay.login.example:${VERIFY}\nrelay.wrong.example:${VERIFY}\n`,
      },
      zone,
    );
    const [known, wrong, stranger] = await send(SMALL, ...LOGIN_DOMAINS.map((name) => `ann@${name}`));
    assert.match(known!, /^success .* tls=TLSv1\.3/);
    assert.match(wrong!, /^deferral .*but could not log in\.\/Remote host said: 535 5\.7\.8 /);
    assert.match(stranger!, /^failure .*does not like recipient\.\/Remote host said: 554 5\.7\.1 /);
    const messages = await postfix.arrived('ann');
    assert.equal(messages.length, 1);
    assert.match(
      messages[0]!,
      /\n\t\(Authenticated sender: user@hub\.example\)\n\tby postfix\.example \(Postfix\) with ESMTPSA /,
    );
  });

  it('refuses what it does not take, and the sender is told why', async () => {
    const { small, ascii, choosy, plain } = postfix.ports;
    await start({
      smtproutes: `may.example:127.0.0.1:${small}\nverify.example:127.0.0.1:${ascii}\nencrypt.example:127.0.0.1:${choosy}\n:127.0.0.1:${plain}\n`,
    });
    const wide = Buffer.from('ä').toString('latin1');
    await send('Subject: big\n\n'.padEnd(6000, 'line\n'), 'ann@may.example');
    await send(SMALL, 'ann@verify.example', `${wide}@verify.example`);
    await send(SMALL, 'ann@encrypt.example');
    await send(SMALL, 'no@far.example', 'ann@far.example');
    await hub.untilLogged(/delivery\.success [^\n]*recipient=joe@hub\.example/, 4);
    assert.equal((await postfix.arrived('ann', 2)).length, 2);
    const notices = readMailbox(home, 'hub.example', 'joe');
    for (const reason of [
      '<ann@may.example>:\n127.0.0.1 does not accept messages of that size. (#5.3.4)\n',
      '@verify.example>:\n127.0.0.1 does not accept addresses that are not ASCII. (#5.6.7)\n',
      '<ann@encrypt.example>:\nConnected to 127.0.0.1 but sender was rejected.\nRemote host said: 554 5.7.1 ',
      '<no@far.example>:\n127.0.0.1 does not like recipient.\nRemote host said: 550 5.1.1 ',
    ])
      assert.equal(notices.filter((notice) => notice.includes(reason)).length, 1, reason);
  });

  it('takes a few recipients of a transaction, and the others in the next ones', async () => {
    await start({ smtproutes: `:127.0.0.1:${postfix.ports.few}\n` });
    const told = await send(SMALL, ...['a', 'b', 'c', 'd', 'e'].map((local) => `${local}@may.example`));
    for (const one of told) assert.match(one, /^success /);
    assert.equal((await postfix.arrived('ann', 5)).length, 5);
  });

  it('as a mail exchanger, has mail that the first exchanger did not take, under TLS that TLSA records ask for', async () => {
    const { raw } = new X509Certificate(certificate.cert);
    const zone = {
      'far.example MX': ['10 dead.example', '20 mx.far.example'],
      'dead.example A': [DEAD_ADDRESS],
      'mx.far.example A': [MX_ADDRESS],
      '_25._tcp.mx.far.example TLSA': [`3 0 1 ${createHash('sha256').update(raw).digest('hex')}`],
      'may.example MX': ['10 mx.may.example'],
      'mx.may.example A': [MX_ADDRESS],
      'clear.example MX': ['10 mx.clear.example'],
      'mx.clear.example A': [MX_ADDRESS],
      '_25._tcp.mx.clear.example TLSA': [`3 0 1 ${'00'.repeat(32)}`],
    };
    await start({}, zone);
    const names = ['far.example', 'may.example', 'clear.example'];
    const [far, may, clear] = await send(SMALL, ...names.map((name) => `ann@${name}`));
    for (const told of [far!, may!]) assert.ok(told.endsWith(` host=${MX_ADDRESS} tls=TLSv1.3`), told);
    assert.match(
      clear!,
      /^deferral .*but TLS is not as DANE wants: no TLSA record of it is about a certificate/,
    );
    assert.equal((await postfix.arrived('ann', 2)).length, 2);
  });
});
