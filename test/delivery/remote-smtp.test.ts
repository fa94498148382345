// Sending by SMTP to a scripted server: the bytes on the wire, connections that are kept, TLS, and what is reported.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { Destination } from '../../src/core/policy/route.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { agree, type Reply, type ScriptedReply, ScriptedServer, type TlsFiles } from './smtp-server.ts';

interface Setting {
  readonly server: ScriptedServer;
  readonly clock: ManualClock;
  /** Sends a message to u0@far.example … or to those given; gives `LETTER text` per recipient. */
  send(message?: string, recipients?: readonly string[], sender?: string): Promise<string[]>;
}

async function withServer(
  script: readonly ScriptedReply[] | Reply,
  check: (setting: Setting) => Promise<void>,
  options: { readonly tls?: TlsFiles; readonly hosts?: readonly string[] } = {},
): Promise<void> {
  const server = await ScriptedServer.start(script, options.tls);
  const clock = new ManualClock();
  const transport = new SmtpTransport({
    heloName: 'me.example',
    timeoutConnectMs: 1000,
    timeoutRemoteMs: 5000,
    clock,
    lookUp: {
      ownAddresses: () => new Set(),
      resolver: {
        resolveMx: async () => [],
        resolve4: async () => [...(options.hosts ?? ['127.0.0.1'])],
        resolve6: async () => [],
      },
    },
  });
  const destination: Destination = {
    key: 'far.example',
    host: 'far.example',
    port: server.port,
    routed: false,
  };
  try {
    await check({
      server,
      clock,
      send: async (message = 'x\n', recipients = ['u0@far.example'], sender = 's@a.example') => {
        const { outcomes } = await transport.deliver({
          destination,
          sender: bytesOf(sender),
          recipients: recipients.map(bytesOf),
          message: bytesOf(message),
        });
        return outcomes.map(({ letter, text }) => `${letter} ${text}`);
      },
    });
  } finally {
    await transport.close();
    await server.close();
  }
}

const ACCEPTED = 'K 127.0.0.1 accepted message.\nRemote host said: 250 ok\n';

/** What a receiver makes of a message on the wire: RFC 5321 section 4.5.2, lines ended by CR LF only. */
function decode(wire: string): string[] {
  assert.ok(wire.endsWith('\r\n.\r\n') || wire === '.\r\n');
  const lines = wire.slice(0, -3).split('\r\n').slice(0, -1);
  return lines.map((line) => (line.startsWith('.') ? line.slice(1) : line));
}

/** The lines of a stored message: each of CR LF, LF and CR ends one. */
function storedLines(message: string): string[] {
  const lines = message.split(/\r\n|\n|\r/);
  if (lines.at(-1) === '' && lines.length > 1) lines.pop();
  return lines;
}

test('the wire has one end, no bare CR or LF, and the stored lines, for any message', () =>
  withServer(agree('PIPELINING'), async ({ server, send }) => {
    const message = fc
      .array(fc.constantFrom('\r', '\n', '.', 'a', '\0'), { maxLength: 12 })
      .map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(message, async (text) => {
        assert.deepEqual(await send(text), [ACCEPTED]);
        const wire = server.messages.pop()!;
        assert.deepEqual(wire.match(/\r(?!\n)|(?<!\r)\n/g), null);
        assert.equal(`\r\n${wire}`.split('\r\n.\r\n').length, 2);
        assert.deepEqual(decode(wire), storedLines(text));
      }),
      { numRuns: 2000, seed: 20_261_122 },
    );
    assert.equal(server.received.length, 1);
    assert.deepEqual(server.messages, []);
  }));

test('a long message keeps its bytes, dots and line ends wherever it is cut', () =>
  withServer(agree('8BITMIME'), async ({ server, send }) => {
    const text = Array.from({ length: 40_000 }, (_, i) => `${'.'.repeat(i % 4)}line ${i} \xff\n`).join('');
    assert.deepEqual(await send(text), [ACCEPTED]);
    assert.deepEqual(decode(server.messages[0]!), storedLines(text));
    assert.match(server.received[0]!, /MAIL FROM:<s@a\.example> BODY=8BITMIME\r\n/);
  }));

for (const address of [
  'a\rb@far.example',
  'a\nb@far.example',
  'a\0b@far.example',
  'a>b@far.example',
  'a@far.example\n',
]) {
  test(`an address with ${JSON.stringify(address)} is refused before anything is sent`, () =>
    withServer(agree(), async ({ server, send }) => {
      const refused = 'D Sorry, that address cannot be sent by SMTP. (#5.1.3)\n';
      assert.deepEqual(await send('x\n', [address]), [refused]);
      assert.deepEqual(await send('x\n', ['u@far.example'], address), [
        "D Sorry, the sender's address cannot be sent by SMTP. (#5.1.7)\n",
      ]);
      assert.equal(server.received.length, 0);
      assert.deepEqual(await send('x\n', ['u@far.example', address, 'v@far.example']), [
        ACCEPTED,
        refused,
        ACCEPTED,
      ]);
      assert.equal(server.received[0]!.match(/RCPT TO/g)?.length, 2);
    }));
}

test('each recipient has its own outcome, with and without PIPELINING', async () => {
  for (const extensions of [['PIPELINING'], []]) {
    const willing = agree(...extensions);
    const reply: Reply = (input) => {
      if (input?.includes('no@')) return '550 5.1.1 unknown\r\n';
      if (input?.includes('later@')) return '450 4.2.1 busy\r\n';
      return willing(input);
    };
    await withServer(reply, async ({ server, send }) => {
      assert.deepEqual(await send('x\n', ['no@h', 'yes@h', 'later@h', 'no@h']), [
        'D 127.0.0.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown\nGiving up on 127.0.0.1.\n',
        ACCEPTED,
        'Z 127.0.0.1 does not like recipient.\nRemote host said: 450 4.2.1 busy\nGiving up on 127.0.0.1.\n',
        'D 127.0.0.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown\nGiving up on 127.0.0.1.\n',
      ]);
      assert.equal(server.messages.length, 1);
    });
  }
});

test('a sender that is refused is the outcome for every recipient, also when their replies come along', () =>
  withServer(
    (input) => {
      if (input?.startsWith('MAIL')) return '553 no\r\n';
      if (input?.startsWith('RCPT') || input?.startsWith('DATA')) return '503 first\r\n';
      return agree('PIPELINING')(input);
    },
    async ({ send }) => {
      const refused = 'D Connected to 127.0.0.1 but sender was rejected.\nRemote host said: 553 no\n';
      assert.deepEqual(await send('x\n', ['a@h', 'b@h']), [refused, refused]);
    },
  ));

test('a sender that is refused for now does not make anything final, though the connection is lost among the replies', () =>
  withServer(
    (input) => {
      if (input?.startsWith('MAIL')) return '451 4.3.0 later\r\n';
      if (input?.startsWith('RCPT')) return '503 5.5.1 MAIL first\r\n';
      return input?.startsWith('DATA') ? null : agree('PIPELINING')(input);
    },
    async ({ send }) => {
      const refused =
        'Z Connected to 127.0.0.1 but sender was rejected.\nRemote host said: 451 4.3.0 later\n';
      assert.deepEqual(await send('x\n', ['a@h', 'b@h']), [refused, refused]);
    },
  ));

/** Takes so many recipients in a transaction; says 452 to others, and 550 to `no@h`. */
function takingOnly(limit: number): Reply {
  let count = 0;
  return (input) => {
    if (input?.startsWith('MAIL')) count = 0;
    if (input?.includes('no@h')) return '550 5.1.1 unknown\r\n';
    if (input?.startsWith('RCPT') && ++count > limit) return '452 4.5.3 too many\r\n';
    return agree('PIPELINING')(input);
  };
}

test('recipients that are too many for a transaction get the next one, and nobody gets two', () =>
  withServer(takingOnly(2), async ({ server, send }) => {
    const recipients = ['a@h', 'b@h', 'no@h', 'c@h', 'd@h', 'e@h'];
    const outcomes = await send('x\n', recipients);
    assert.equal(outcomes.map((one) => one.charAt(0)).join(''), 'KKDKKK');
    const commands = server.received.join('').match(/(?<=RCPT TO:<)\w+|MAIL|DATA/g);
    assert.equal(commands?.join(' '), 'MAIL a b no c d e DATA MAIL c d e DATA MAIL e DATA');
    assert.equal(server.messages.length, 3);
  }));

test('a server that takes none of those that were too many is asked once more only', () =>
  withServer(
    (input) => (input?.includes('full@h') ? '452 4.3.1 no room\r\n' : agree('PIPELINING')(input)),
    async ({ server, send }) => {
      const [taken, full] = await send('x\n', ['a@h', 'full@h']);
      assert.deepEqual([taken?.charAt(0), full?.charAt(0)], ['K', 'Z']);
      assert.match(full!, /Remote host said: 452 4\.3\.1 no room/);
      assert.equal(server.received.join('').match(/MAIL/g)?.length, 2);
    },
  ));

test('a connection that is lost among transactions does not make the message go to those who have it', () => {
  let isLeaving = false;
  return withServer(
    (input) => {
      if (input?.startsWith('MAIL') && isLeaving) return null;
      if (!input?.includes('late@h')) return agree()(input);
      isLeaving = true;
      return '452 4.5.3 too many\r\n';
    },
    async ({ server, send }) => {
      assert.match((await send('x\n', ['a@h']))[0]!, /^K/);
      const [taken, late] = await send('x\n', ['a@h', 'late@h']);
      assert.match(taken!, /^K/);
      assert.match(late!, /^Z Connected to 127\.0\.0\.1 but connection died\./);
      assert.equal(server.messages.length, 2);
    },
  );
});

test('a connection is kept for the next message and closed when none comes', () =>
  withServer(agree('PIPELINING'), async ({ server, clock, send }) => {
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(await send(`message ${i}\n`), [ACCEPTED]);
      clock.advance(9000);
    }
    assert.equal(server.received.length, 1);
    clock.advance(1000);
    assert.equal(clock.nextTimerMs(), undefined);
    assert.deepEqual(await send(), [ACCEPTED]);
    assert.equal(server.received.length, 2);
    assert.match(server.received[0]!, /QUIT\r\n$/);
  }));

test('a refused recipient does not cost the connection', () =>
  withServer(
    (input) => (input?.startsWith('RCPT TO:<no@') ? '550 no\r\n' : agree()(input)),
    async ({ server, send }) => {
      for (let i = 0; i < 3; i++) {
        assert.match((await send('x\n', ['no@far.example']))[0]!, /^D/);
        while (!server.received[0]!.endsWith('RSET\r\n')) await new Promise(setImmediate);
        for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      }
      assert.deepEqual(await send('x\n'), [ACCEPTED]);
      assert.equal(server.received.length, 1);
    },
  ));

test('a kept connection that the partner closed is replaced without a report', () =>
  withServer(agree('PIPELINING'), async ({ server, send }) => {
    await send();
    await server.dropConnections();
    assert.deepEqual(await send(), [ACCEPTED]);
    assert.equal(server.messages.length, 2);
  }));

test('a kept connection that the partner ends with 421 is replaced without a report', async () => {
  let messages = 0;
  const reply: Reply = (input) => {
    if (input?.startsWith('MAIL') && messages === 1) {
      messages++;
      return '421 idle too long\r\n';
    }
    if (input?.endsWith('\r\n.\r\n')) messages++;
    return agree()(input);
  };
  await withServer(reply, async ({ server, send }) => {
    await send();
    assert.deepEqual(await send(), [ACCEPTED]);
    assert.equal(server.received.length, 2);
  });
});

test('a connection that dies after the end of the message may have left a duplicate', () =>
  withServer(
    (input) => (input?.endsWith('\r\n.\r\n') ? null : agree('PIPELINING')(input)),
    async ({ server, send }) => {
      const died = 'Z Connected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n';
      assert.deepEqual(await send('x\n', ['a@h', 'b@h']), [died, died]);
      assert.equal(server.received.length, 1);
    },
  ));

test('a message that is larger than the partner takes is not sent', () =>
  withServer(agree('SIZE 100'), async ({ server, send }) => {
    assert.deepEqual(await send('x'.repeat(101)), [
      'D 127.0.0.1 does not accept messages of that size. (#5.3.4)\n',
    ]);
    assert.equal(server.messages.length, 0);
  }));

test('an old partner is greeted with HELO', () =>
  withServer(
    (input) => (input?.startsWith('EHLO') ? '502 what\r\n' : agree()(input)),
    async ({ server, send }) => {
      assert.deepEqual(await send(), [ACCEPTED]);
      assert.ok(
        server.received[0]!.startsWith('EHLO me.example\r\nHELO me.example\r\nMAIL FROM:<s@a.example>\r\n'),
      );
    },
  ));

test('an address that nobody listens at is passed over', () =>
  withServer(agree(), async ({ send }) => assert.deepEqual(await send(), [ACCEPTED]), {
    hosts: ['127.0.0.9', '127.0.0.1'],
  }));

test('a destination that nobody answers for is tried later', () =>
  withServer(
    agree(),
    async ({ send }) =>
      assert.deepEqual(await send(), ["Z Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"]),
    { hosts: ['127.0.0.9'] },
  ));

test('a partner whose TLS does not work is spoken to in clear, at once from then on', () =>
  withServer(
    (input) =>
      input?.startsWith('STARTTLS') ? '220 now\r\n500 this is not TLS\r\n' : agree('STARTTLS')(input),
    async ({ server, clock, send }) => {
      assert.deepEqual(await send(), [ACCEPTED]);
      assert.equal(server.received.length, 2);
      clock.advance(20_000);
      assert.deepEqual(await send(), [ACCEPTED]);
      assert.equal(server.received.length, 3);
      assert.ok(!server.received[2]!.includes('STARTTLS'));
    },
  ));

test('a partner that refuses STARTTLS is spoken to in clear', () =>
  withServer(
    (input) => (input?.startsWith('STARTTLS') ? '454 not now\r\n' : agree('STARTTLS')(input)),
    async ({ server, send }) => {
      assert.deepEqual(await send(), [ACCEPTED]);
      assert.equal(server.received.length, 1);
    },
  ));

function findOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('TLS is used when it is offered, with any certificate', {
  skip: !findOpenssl() && 'openssl is not installed',
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'].concat(
        ['-subj', '/CN=other.example', '-keyout', key, '-out', cert],
      ),
      { stdio: 'ignore' },
    );
    const tls = { key: readFileSync(key, 'latin1'), cert: readFileSync(cert, 'latin1') };
    await withServer(
      agree('STARTTLS', 'PIPELINING'),
      async ({ server, send }) => {
        assert.deepEqual(await send('secret\n'), [ACCEPTED]);
        assert.equal(server.received.length, 1);
        assert.ok(
          server.received[0]!.startsWith('EHLO me.example\r\nSTARTTLS\r\nEHLO me.example\r\nMAIL FROM:'),
        );
        assert.deepEqual(server.messages, ['secret\r\n.\r\n']);
      },
      { tls },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
