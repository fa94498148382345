// Postfix as the client of the hub, by SMTP under TLS and by LMTP: every byte into the mailbox, and what the hub refuses comes back
// to the sender in a notice of Postfix with the hub's words.

import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BODIES, storedOf } from '../support/bodies.ts';
import { makeCertificate } from '../support/certificate.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { freePort, missingPeers } from '../support/peers.ts';
import { missingPostfix, type Postfix, startPostfix } from '../support/postfix.ts';
import { SmtpClient } from '../support/smtp-client.ts';

const DOMAINS = { SMTP: 'hub.example', LMTP: 'boxes.example' } as const;

describe('Postfix as a client of the hub', { skip: missingPostfix() || missingPeers('openssl') }, () => {
  let folder: string;
  let home: string;
  let hub: HubProcess;
  let postfix: Postfix;
  let client: SmtpClient;

  before(async () => {
    home = makeHome({
      locals: 'hub.example\nboxes.example\n',
      recipients: 'ann@hub.example\nann@boxes.example\njoe@hub.example\njörg@hub.example\n',
      databytes: '500000\n',
      smtpextensions: 'size\nsmtputf8\n',
    });
    const certificate = makeCertificate('hub.example');
    copyFileSync(certificate.path, join(home, 'control/servercert.pem'));
    certificate.remove();
    hub = await HubProcess.start(home, undefined, 0, ['--smtp', '127.0.0.1:0', '--lmtp', '127.0.0.1:0']);
    folder = mkdtempSync(join(tmpdir(), 'postfix-hub-'));
    // Postfix's own user has to get at its queue.
    chmodSync(folder, 0o755);
    const transports = [
      `{ hub.example = smtp:[127.0.0.1]:${hub.smtpPort} }`,
      `{ boxes.example = lmtp:inet:[127.0.0.1]:${hub.lmtpPort} }`,
    ];
    const port = await freePort();
    postfix = await startPostfix(folder, port, {
      ...{ service: 'smtpd', isLeaving: true, services: ['tlsmgr unix - - n 1000? 1 tlsmgr'] },
      settings: {
        transport_maps: `inline:{ ${transports.join(', ')} }`,
        // Nothing is added to a header that lacks something, and no line is broken.
        local_header_rewrite_clients: '',
        smtp_line_length_limit: '0',
        lmtp_line_length_limit: '0',
        smtp_tls_security_level: 'encrypt',
      },
    });
    client = await SmtpClient.connect(port);
  });
  after(async () => {
    client?.close();
    await postfix?.stop();
    await hub?.end('SIGKILL');
    removeHome(home);
    rmSync(folder, { recursive: true, force: true });
  });

  for (const protocol of ['SMTP', 'LMTP'] as const)
    it(`hands on every byte by ${protocol}`, async () => {
      const domain = DOMAINS[protocol];
      const names = Object.keys(BODIES);
      for (const name of names)
        assert.match(await client.send('joe@far.example', `ann@${domain}`, storedOf(name)), /^250 /);
      await hub.untilLogged(new RegExp(`delivery\\.success .*recipient=ann@${domain}`), names.length);
      const messages = readMailbox(home, domain, 'ann');
      assert.equal(messages.length, names.length);
      const word = protocol === 'SMTP' ? 'ESMTPS' : 'LMTP';
      for (const name of names) {
        const stored = messages.find((text) => text.includes(`\nSubject: ${name}\n`)) ?? '';
        assert.equal(stored.slice(stored.indexOf('\nFrom: joe') + 1), storedOf(name), name);
        assert.match(stored, new RegExp(`\\nReceived: from .*\\n {2}by hub\\.example with ${word};`));
      }
    });

  it('hands on addresses beyond ASCII', async () => {
    assert.match(await client.command('MAIL FROM:<joe@far.example> SMTPUTF8'), /^250 /);
    assert.match(
      await client.command(`RCPT TO:<${Buffer.from('jörg').toString('latin1')}@hub.example>`),
      /^250 /,
    );
    await client.command('DATA');
    assert.match(await client.command('Subject: x\r\n\r\nbody\r\n.'), /^250 /);
    await hub.untilLogged(/delivery\.success .*rg@hub\.example/);
    assert.match(readMailbox(home, 'hub.example', 'j%C3%B6rg')[0]!, / with UTF8SMTPS;[\s\S]*\n\nbody\n$/);
  });

  it('tells the sender what the hub has refused, and that alone', async () => {
    for (const domain of Object.values(DOMAINS)) {
      await client.command('MAIL FROM:<joe@hub.example>');
      for (const local of ['ann', 'nobody'])
        assert.match(await client.command(`RCPT TO:<${local}@${domain}>`), /^250 /);
      await client.command('DATA');
      assert.match(await client.command(`Subject: two at ${domain}\r\n\r\nbody\r\n.`), /^250 /);
    }
    const big = `Subject: big\n\n${'line\n'.repeat(120_000)}`;
    assert.match(await client.send('joe@hub.example', 'ann@hub.example', big), /^250 /);
    await hub.untilLogged(/delivery\.success .*recipient=joe@hub\.example/, 3);
    const notices = readMailbox(home, 'hub.example', 'joe').map((text) => text.replaceAll(/\n +/g, ' '));
    for (const reason of [
      /<nobody@hub\.example>: host \S+ said: 550 sorry, no mailbox here by that name \(#5\.1\.1\) \(in reply to RCPT TO/,
      /<nobody@boxes\.example>: host \S+ said: 550 5\.1\.1 sorry, no mailbox here by that name .*\(in reply to RCPT TO/,
      /<ann@hub\.example>: message size \d+ exceeds size limit 500000 of server /,
    ])
      assert.equal(
        notices.filter((notice) => reason.test(notice)).length,
        1,
        `${reason} in ${notices.join()}`,
      );
    for (const domain of Object.values(DOMAINS)) {
      const posts = readMailbox(home, domain, 'ann').filter((text) => text.includes(`: two at ${domain}\n`));
      assert.equal(posts.length, 1);
    }
  });
});
