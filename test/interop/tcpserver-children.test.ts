// Our tcpserver with programs of other people, and another tcpserver with our vectors: what the vectors expect is checked
// against the original, so a vector that our test reads wrongly cannot pass for a feature.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { findPeer, missingPeers } from '../support/peers.ts';
import { connectClient, startTcpserver } from '../support/tcpserver-process.ts';
import { asksIdent, cannotRun, readTcpserverCases, runTcpserverCase } from '../support/tcpserver-vectors.ts';

describe('the original tcpserver does what the vectors say', { concurrency: 3 }, () => {
  // Ident servers of two test files would have one port between them.
  const cases = readTcpserverCases().filter((vector) => !asksIdent(vector) && vector.name !== 'descriptors');
  for (const [index, vector] of cases.entries()) {
    const skip = missingPeers('tcpserver') || cannotRun(vector);
    test(vector.name, { skip }, () =>
      runTcpserverCase(vector, { program: findPeer('tcpserver') ?? '', dnsHost: `127.7.9.${index + 1}` }),
    );
  }
});

/** What a client gets that sends something to our tcpserver with this program, and the log. */
async function exchange(
  program: readonly string[],
  send: string,
  env = {},
): Promise<{ reply: string; log: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'tcpserver-children-'));
  const server = startTcpserver({
    program: join(ROOT, 'bin/tcpserver'),
    args: ['-1RHl', 'x', '127.0.0.1', '0', ...program],
    env: { PATH: process.env['PATH'] ?? '', ...env },
    folder,
  });
  try {
    const client = await connectClient(
      { from: '127.0.0.1', to: '127.0.0.1', port: await server.port() },
      send,
    );
    const reply = await client.finish();
    await server.stop();
    return { reply, log: server.log() };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

test('a C program reads and writes a megabyte on the connection', async () => {
  const text = 'All work and no play\r\n'.repeat(50_000);
  assert.equal((await exchange(['cat'], text)).reply, text);
});

test("ucspi-tcp's recordio logs what ours logs", { skip: missingPeers('recordio') }, async () => {
  const logs: string[] = [];
  for (const recorder of [findPeer('recordio') ?? '', join(ROOT, 'bin/recordio')]) {
    const { reply, log } = await exchange([recorder, 'cat'], 'HELO\r\nx');
    assert.equal(reply, 'HELO\r\nx');
    logs.push(log.replaceAll(/^\d+/gm, 'PID'));
  }
  assert.deepEqual(logs[0]?.split('\n').sort(), logs[1]?.split('\n').sort());
  assert.match(logs[1] ?? '', /^PID < HELO\r \nPID < x\+\nPID [<>] /);
});

test("ucspi-tcp's rblsmtpd refuses a client that a rule's variable names", {
  skip: missingPeers('rblsmtpd'),
}, async () => {
  const { reply } = await exchange(['rblsmtpd', 'true'], 'HELO x\r\nRCPT TO:<a@b>\r\nQUIT\r\n', {
    RBLSMTPD: '-No thanks',
  });
  assert.match(reply, /553 No thanks\r\n/);
});
