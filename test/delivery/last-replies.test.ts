// Replies that arrive together with the end of their connection: what was said counts, however many replies it were.

import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';

const COUNT = 30;
const RECIPIENTS = Array.from({ length: COUNT }, (_, i) => `r${i}@far.example`);

/** Sends a message to a server that takes the envelope and the message, each in one piece, and answers as it is told. */
async function send(
  protocol: 'lmtp' | undefined,
  answers: { envelope: string; message?: string },
  leave: (socket: Socket) => void,
): Promise<readonly Outcome[]> {
  const server = createServer({ noDelay: true }, (socket) => {
    let text = '';
    socket.on('error', () => undefined).write('220 hi\r\n');
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
      if (/^.HLO .*\r\n$|^EHLO .*\r\n$/.test(text)) socket.write('250-hi\r\n250 PIPELINING\r\n');
      else if (text.endsWith('\r\nDATA\r\n')) {
        socket.write(answers.envelope);
        if (answers.message === undefined) leave(socket);
      } else if (text.endsWith('\r\n.\r\n')) {
        socket.write(answers.message ?? '');
        leave(socket);
      } else return;
      text = '';
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 5000, timeoutRemoteMs: 5000, clock: SYSTEM_CLOCK },
  });
  try {
    const { port } = server.address() as AddressInfo;
    const { outcomes } = await transport.deliver({
      destination: { key: 'k', host: '127.0.0.1', port, routed: true, ...(protocol && { protocol }) },
      sender: bytesOf('s@a.example'),
      recipients: RECIPIENTS.map(bytesOf),
      message: bytesOf('x\n'),
    });
    return outcomes;
  } finally {
    await transport.close();
    await new Promise((resolve) => server.close(resolve));
  }
}

const LEAVING: Readonly<Record<string, (socket: Socket) => void>> = {
  ends: (socket) => socket.end(),
  // As servers do that close while commands are left to be read.
  resets: (socket) => socket.resetAndDestroy(),
};

for (const [way, leave] of Object.entries(LEAVING)) {
  test(`a server that ${way} the connection behind many refusals has refused them all`, async () => {
    const refusals = '550 5.1.1 unknown\r\n'.repeat(COUNT - 5);
    const envelope = `250 ok\r\n${refusals}421 4.7.0 too many errors\r\n`;
    const outcomes = await send(undefined, { envelope }, leave);
    const texts = outcomes.map(({ letter, text }) => letter + text);
    const refused =
      'D127.0.0.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown\nGiving up on 127.0.0.1.\n';
    assert.deepEqual(texts.slice(0, COUNT - 5), Array(COUNT - 5).fill(refused));
    assert.match(
      texts[COUNT - 5]!,
      /^Z127\.0\.0\.1 does not like recipient\.\nRemote host said: 421 4\.7\.0/,
    );
    for (const text of texts.slice(COUNT - 4)) assert.match(text, /^Z/);
  });

  test(`an LMTP server that ${way} the connection behind its replies has given them all`, async () => {
    const envelope = `${'250 ok\r\n'.repeat(COUNT + 1)}354 go\r\n`;
    const message = `${'250 2.0.0 taken\r\n'.repeat(COUNT - 2)}552 5.2.2 full\r\n`;
    const outcomes = await send('lmtp', { envelope, message }, leave);
    assert.equal(outcomes.map(({ letter }) => letter).join(''), `${'K'.repeat(COUNT - 2)}DZ`);
    assert.equal(outcomes.at(-1)?.isUnknown, true);
  });
}

test('a server that takes some recipients and is gone has nothing of the message', async () => {
  const envelope = `250 ok\r\n${'250 ok\r\n'.repeat(COUNT)}354 go\r\n`;
  for (const leave of Object.values(LEAVING)) {
    const outcomes = await send(undefined, { envelope }, leave);
    for (const { letter } of outcomes) assert.equal(letter, 'Z');
  }
});
