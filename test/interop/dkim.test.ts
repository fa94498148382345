// Signatures of outgoing mail, verified by another implementation, Debian's python3-dkim, over the bytes that a receiver gets.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { DomainMap } from '../../src/core/format/domain-map.ts';
import { findDestination } from '../../src/core/policy/route.ts';
import { dkimRecord, readDkimKeyring } from '../../src/delivery/dkim-keys.ts';
import { DkimSigner } from '../../src/delivery/dkim-signer.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { SigningTransport } from '../../src/delivery/signing-transport.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { makeDkimKey } from '../../src/hub/dkim-command.ts';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { skipUnless } from '../support/peers.ts';

const VERIFIER = `
import base64, json, sys, dkim
for line in sys.stdin:
    task = json.loads(line)
    records = {name.encode(): text.encode() for name, text in task['dns'].items()}
    message = base64.b64decode(task['message'])
    def look(name, timeout=5):
        return records.get(name if isinstance(name, bytes) else name.encode())
    results = []
    for index in range(task['count']):
        try:
            verifier = dkim.DKIM(message, minkey=1024)
            results.append(verifier.verify(idx=index, dnsfunc=look))
        except Exception as error:
            results.append(repr(error))
    print(json.dumps(results), flush=True)
`;

/** Debian's own, whose packages others in PATH do not have. */
const PYTHON = '/usr/bin/python3';
const hasVerifier = spawnSync(PYTHON, ['-c', 'import dkim, nacl.signing'], { stdio: 'ignore' }).status === 0;
const skip = skipUnless(hasVerifier ? [] : ['python3-dkim with python3-nacl is not installed']);

describe('python3-dkim', { skip }, () => {
  let home = '';
  let dns: Record<string, string> = {};
  let server: ScriptedServer;
  let transport: SigningTransport;
  let signer: DkimSigner;

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'dkim-'));
    mkdirSync(join(home, 'control'));
    for (const [selector, type] of [
      ['r1', 'rsa'],
      ['e1', 'ed25519'],
    ] as const) {
      makeDkimKey({ home, domain: 'Me.Example', selector, type });
      const key = createPrivateKey(readFileSync(join(home, `control/dkim/me.example/${selector}.key`)));
      const algorithm = type === 'rsa' ? 'rsa-sha256' : 'ed25519-sha256';
      dns[`${selector}._domainkey.me.example.`] = dkimRecord({ key, algorithm });
    }
    server = await ScriptedServer.start(agree());
    signer = new DkimSigner(readDkimKeyring(home), { clock: SYSTEM_CLOCK, log: { write: () => undefined } });
    const smtp = new SmtpTransport({
      ...{ heloName: 'me.example', timeoutConnectMs: 5000, timeoutRemoteMs: 5000, clock: SYSTEM_CLOCK },
    });
    transport = new SigningTransport(smtp, signer);
  });

  after(async () => {
    await transport?.close();
    await server?.close();
    rmSync(home, { recursive: true, force: true });
    dns = {};
  });

  /** Sends a message; what a receiver has of it. */
  async function send(message: string): Promise<string> {
    const count = server.messages.length;
    const routes = new DomainMap();
    routes.set(bytesOf(''), bytesOf(`127.0.0.1:${server.port}`));
    const { outcomes } = await transport.deliver({
      destination: findDestination(bytesOf('r@far.example'), routes)!,
      sender: bytesOf(''),
      recipients: [bytesOf('r@far.example')],
      message: bytesOf(message),
    });
    assert.equal(outcomes[0]!.letter, 'K', outcomes[0]!.text);
    return server.messages[count]!.replace(/\.\r\n$/, '').replace(/^\./gm, '');
  }

  function verify(messages: readonly string[], count: number): unknown[] {
    const tasks = messages.map((message) =>
      JSON.stringify({ message: Buffer.from(message, 'latin1').toString('base64'), dns, count }),
    );
    const { stdout, stderr } = spawnSync(PYTHON, ['-c', VERIFIER], { input: `${tasks.join('\n')}\n` });
    assert.equal(String(stderr), '');
    return String(stdout)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  const HEAD = 'From: Ann <ann@me.example>\nTo: b@far.example\nSubject: x\n';

  const MESSAGES: Readonly<Record<string, string>> = {
    'an ordinary one': `${HEAD}Date: Mon, 23 Nov 2026 00:00:00 +0000\nMessage-ID: <1@me.example>\n\nbody\n`,
    'long lines': `${HEAD}\n${'x'.repeat(5000)}\n${'y z '.repeat(30_000)}\n`,
    'bytes beyond ASCII': `${HEAD}X: \xe4\n\n\xff\xfe\0 \xc3\xa4\n`,
    dots: `${HEAD}\n.\n..\n.x\n\n.\n`,
    'CR LF, and CR alone': 'From: ann@me.example\r\nTo: b\r\n\r\na\rb\r\n.\rc\r\r\n',
    'no last line end': `${HEAD}\nlast`,
    'an empty body': `${HEAD}\n`,
    'a header alone': HEAD,
    'a header without an end': 'To: b@far.example\nFrom: ann@me.example',
    'blank lines and blanks': `${HEAD}\n\n  a  \t b \n \t \n\n\n`,
    'folded fields': `From: Ann\n  <ann@me.example>\nSubject: a\n\tb\n   c  \nReferences:\n <1@x>\n <2@x>\n\nbody\n`,
    'fields of one name': `To: one\n${HEAD}To: two\nList-Id: a\nList-Post: b\nTo:three \n\nbody\n`,
    'two From fields': `${HEAD}From: evil@other.example\n\nbody\n`,
    'a body of many pieces': `${HEAD}\n${'line of text\r\n\r\n \n'.repeat(20_000)}`,
  };

  test('verifies both signatures of every message as it was received', async () => {
    const received: string[] = [];
    for (const message of Object.values(MESSAGES)) received.push(await send(message));
    const results = verify(received, 2);
    assert.deepEqual(
      Object.keys(MESSAGES).map((name, i) => [name, results[i]]),
      Object.keys(MESSAGES).map((name) => [name, [true, true]]),
    );
  });

  test('verifies messages by chance, whatever their line ends, blanks and dots', async () => {
    const text = fc.string({
      unit: fc.constantFrom('\r', '\n', '\r\n', ' ', '\t', '.', 'a', '\xe9'),
      maxLength: 30,
    });
    const value = fc.string({
      unit: fc.constantFrom('\n ', '\r\n\t', ' ', '\t', 'b', ':', '='),
      maxLength: 12,
    });
    const stored = fc
      .tuple(value, text)
      .map(([subject, body]) => `Subject:${subject}\nFrom: ann@me.example\n\n${body}`);
    const messages = fc.sample(stored, 100);
    const received: string[] = [];
    for (const message of messages) received.push(await send(message));
    const results = verify(received, 2);
    assert.deepEqual(
      messages.filter((_, i) => JSON.stringify(results[i]) !== '[true,true]'),
      [],
    );
  });

  test('refuses what was changed or added on the way', async () => {
    const received = await send(MESSAGES['an ordinary one']!);
    const changed = [
      received.replace('body', 'bodY'),
      received.replace('Subject: x', 'Subject: y'),
      received.replace('From: Ann', 'From: evil@other.example\r\nFrom: Ann'),
      received.replace(/\r\n$/, '\r\nmore\r\n'),
    ];
    for (const result of verify(changed, 2).flat()) assert.notEqual(result, true);
    assert.deepEqual(verify([received], 2), [[true, true]]);
  });

  test('leaves alone what nobody signs', async () => {
    for (const message of ['From: a@other.example\n\nx\n', 'Subject: x\n\nFrom: ann@me.example\n'])
      assert.equal(await send(message), message.replaceAll('\n', '\r\n'));
  });
});
