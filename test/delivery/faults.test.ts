// A partner with every kind of broken reply at each step, and one that hangs up behind each byte it sends: each recipient
// has one outcome, it is the true one, and only a whole positive reply to the message delivers it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { agree, type Reply, ScriptedServer } from './smtp-server.ts';

async function sendTo(port: number, timeoutRemoteMs = 5000): Promise<Outcome> {
  const transport = new SmtpTransport({
    ...{
      heloName: 'me.example',
      timeoutConnectMs: 2000,
      timeoutRemoteMs,
      clock: new ManualClock(),
      idleMs: 0,
    },
  });
  const { outcomes } = await transport.deliver({
    destination: { key: 'k', host: '127.0.0.1', port, routed: true },
    ...{ sender: bytesOf('s@a.example'), recipients: [bytesOf('u@far.example')], message: bytesOf('x\n') },
  });
  await transport.close();
  assert.equal(outcomes.length, 1);
  return outcomes[0]!;
}

const STEPS = ['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'message'] as const;
type Step = (typeof STEPS)[number];

function stepOf(input: string | undefined): Step | undefined {
  if (input === undefined) return 'greeting';
  if (input.endsWith('.\r\n') && !/^[A-Z]{4}/.test(input)) return 'message';
  return STEPS.find((step) => input.startsWith(step));
}

const DIED = /^Connected to 127\.0\.0\.1 but connection died\. \(#4\.4\.2\)\n$/;
const DUPLICATE = /^Connected to 127\.0\.0\.1 but connection died\. Possible duplicate! \(#4\.4\.2\)\n$/;

const WORDS: Readonly<Record<Step, RegExp>> = {
  greeting: /^Connected to 127\.0\.0\.1 but greeting failed/,
  EHLO: /^Connected to 127\.0\.0\.1 but my name was rejected/,
  MAIL: /^Connected to 127\.0\.0\.1 but sender was rejected/,
  RCPT: /^127\.0\.0\.1 does not like recipient/,
  DATA: /^127\.0\.0\.1 failed on DATA command/,
  message: /^127\.0\.0\.1 failed after I sent the message/,
};

/** A reply, and how a step with it ends: a refusal for good only where qmail-remote has one. */
const REFUSALS: readonly [name: string, reply: string, isFinal: boolean][] = [
  ['4xx', '450 4.2.0 later\r\n', false],
  ['5xx', '550 5.7.1 never\r\n', true],
  ['5xx in several lines', '550-one\r\n550-two\r\n550 three\r\n', true],
  ['5xx with lines that end in LF', '550-one\n550 two\n', true],
  ['no code', 'what\r\n', false],
  ['a code of one digit', '5\r\n', false],
  ['8-bit and NUL', '550 \xff\0\x01\r\n', true],
  ['nearly too much', `550 ${'x'.repeat(60_000)}\r\n`, true],
];

for (const step of STEPS) {
  for (const extension of ['PIPELINING', '8BITMIME']) {
    test(`refusals at ${step}, with ${extension}`, async () => {
      for (const [name, reply, isFinal] of REFUSALS) {
        const script: Reply = (input) => {
          if (stepOf(input) === step || (step === 'EHLO' && input?.startsWith('HELO'))) return reply;
          return agree(extension)(input);
        };
        const server = await ScriptedServer.start(script);
        const { letter, text } = await sendTo(server.port);
        const mayBeFinal = isFinal && step !== 'greeting' && step !== 'EHLO';
        assert.equal(letter, mayBeFinal ? 'D' : 'Z', `${step}, ${name}: ${text}`);
        assert.match(text, WORDS[step], name);
        assert.ok(text.includes(`Remote host said: ${reply.slice(0, 4).trimEnd()}`), `${name}: ${text}`);
        assert.ok(text.length < 5200);
        // After a refused recipient the DATA that was sent along may have been taken: then an empty message ends it.
        const isEmptied = step === 'RCPT' && extension === 'PIPELINING';
        assert.deepEqual(server.messages, isEmptied ? ['.\r\n'] : step === 'message' ? ['x\r\n.\r\n'] : []);
        await server.close();
      }
    });
  }
}

test('a reply without end is a lost connection, whether it has lines or not', async () => {
  for (const step of STEPS) {
    for (const endless of ['2'.repeat(70_000), '250-x\r\n'.repeat(20_000)]) {
      const server = await ScriptedServer.start((input) =>
        stepOf(input) === step ? endless : agree()(input),
      );
      const { letter, text } = await sendTo(server.port);
      assert.equal(letter, 'Z');
      assert.match(text, step === 'message' ? DUPLICATE : DIED, step);
      await server.close();
    }
  }
});

test('a partner that falls silent is a lost connection', async () => {
  await Promise.all(
    STEPS.map(async (step) => {
      const server = await ScriptedServer.start((input) =>
        stepOf(input) === step ? 'HANG' : agree()(input),
      );
      const { letter, text, isUnknown } = await sendTo(server.port, 200);
      assert.equal(letter, 'Z');
      assert.match(text, step === 'message' ? DUPLICATE : DIED, step);
      assert.equal(isUnknown, step === 'message' ? true : undefined);
      await server.close();
    }),
  );
});

test('replies that nobody asked for do not deliver a message', async () => {
  for (const [name, early] of [
    ['all at once', '220 hi\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n'],
    ['two greetings', '220 hi\r\n220 hi\r\n'],
  ] as const) {
    const server = await ScriptedServer.start((input) => {
      if (input === undefined) return early;
      return stepOf(input) === 'message' ? '550 5.7.1 never\r\n' : agree()(input);
    });
    assert.equal((await sendTo(server.port)).letter, 'Z', name);
    await server.close();
  }
});

/** A server that hangs up when it has said so many bytes. */
async function startMortal(byteCount: number, script: Reply): Promise<Server> {
  const server = createServer((socket) => {
    let left = byteCount;
    let pending = '';
    const say = (reply: string | null) => {
      const said = (reply ?? '').slice(0, left);
      left -= said.length;
      if (left === 0 || reply === null) socket.end(said);
      else socket.write(said);
    };
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      pending += bytes.toString('latin1');
      for (let end = pending.indexOf('\n') + 1; end > 0 && left > 0; end = pending.indexOf('\n') + 1) {
        const line = pending.slice(0, end);
        pending = pending.slice(end);
        if (line !== 'x\r\n') say(script(line));
      }
    });
    say(script(undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('a partner that hangs up behind any byte of what it says', async () => {
  for (const extension of ['PIPELINING', '8BITMIME']) {
    const script = agree(extension);
    const replies = [undefined, 'EHLO me', 'MAIL', 'RCPT', 'DATA', '.'].map(script);
    const said = replies.join('');
    const beforeMessage = replies.slice(0, -1).join('').length;
    for (let byteCount = 1; byteCount <= said.length; byteCount++) {
      const server = await startMortal(byteCount, script);
      const { letter, text, isUnknown } = await sendTo((server.address() as AddressInfo).port);
      server.close();
      const where = `${extension}, behind ${JSON.stringify(said.slice(0, byteCount).slice(-12))}: ${text}`;
      assert.equal(letter, byteCount === said.length ? 'K' : 'Z', where);
      if (byteCount < beforeMessage) assert.match(text, DIED, where);
      if (byteCount > beforeMessage && letter === 'Z') assert.equal(isUnknown, true, where);
    }
  }
});
