// Remote delivery to Postfix's smtp-sink: kept connections, the bytes that arrive, and a queue that is emptied.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { createDelivery } from '../../src/delivery/delivery.ts';
import { createBounceSubmitter } from '../../src/delivery/notices.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { MemoryQueue, MemoryQueueStorage } from '../../src/queue/memory-queue.ts';
import { CONTROLS } from '../delivery/support.ts';
import { missingPeers } from '../support/peers.ts';
import { startSink } from '../support/smtp-sink.ts';

const skip = missingPeers('smtp-sink');

/** Runs smtp-sink; messages go to files in the folder, one each. */
async function withSink(args: readonly string[], check: (port: number, folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'sink-'));
  const sink = await startSink(args, folder);
  try {
    await check(sink.port, folder);
  } finally {
    await sink.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Sends the messages through a queue, up to five at a time, and waits until the queue is empty. */
async function deliverAll(port: number, messages: readonly string[], perDestination: number): Promise<void> {
  const queue = new MemoryQueue(new MemoryQueueStorage(), SYSTEM_CLOCK);
  const transport = new SmtpTransport({
    heloName: 'me.example',
    timeoutConnectMs: 5000,
    timeoutRemoteMs: 20_000,
    clock: SYSTEM_CLOCK,
  });
  let left = messages.length;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const delivery = createDelivery({
    queue,
    clock: SYSTEM_CLOCK,
    log: {
      write: (event, facts) => {
        if (event === 'delivery.start' || event === 'message.end') return;
        assert.equal(event, 'delivery.success', JSON.stringify(facts));
        if (--left === 0) finish();
      },
    },
    transport,
    local: { deliver: async () => ({ letter: 'D', text: 'no local mail here\n' }) },
    policy: {
      ...CONTROLS,
      concurrencyremote: perDestination,
      smtproutes: parseDomainMap([bytesOf(`:127.0.0.1:${port}`)]),
    },
    submitBounce: createBounceSubmitter(queue, SYSTEM_CLOCK, CONTROLS),
  });
  await delivery.start();
  for (const [i, message] of messages.entries()) {
    const intake = queue.begin();
    void intake.write(bytesOf(message));
    await intake.commit({
      sender: bytesOf('s@a.example'),
      recipients: [{ channel: 'remote', address: bytesOf(`u${i}@far.example`) }],
    });
  }
  await finished;
  await delivery.stop();
  assert.equal(queue.stats().messages, 0);
}

test('smtp-sink gets every message as it was stored', { skip }, () =>
  withSink(['-d', 'message.'], async (port, folder) => {
    const bodies = ['one\n', '.\n..\n.x\n', 'no end', 'a\r\nb\nc\rd\r\n', `${'y'.repeat(70_000)}\n`];
    await deliverAll(
      port,
      bodies.map((body, i) => `Subject: ${i}\n\n${body}`),
      5,
    );
    const stored = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
    assert.equal(stored.length, bodies.length);
    for (const [i, body] of bodies.entries()) {
      // The sink writes lines with LF, below its own notes, and ends a file with an empty line.
      const lines = body.replace(/\r\n|\r/g, '\n').replace(/\n$/, '');
      const found = stored.find((text) => text.includes(`\nSubject: ${i}\n`)) ?? '';
      assert.ok(
        found.includes(`\nSubject: ${i}\n\n${lines}\n`),
        `message ${i}: ${JSON.stringify(found.slice(0, 300))}`,
      );
      assert.ok(found.includes(`X-Rcpt-Args: <u${i}@far.example>\n`));
    }
  }),
);

test('smtp-sink sees as many connections as may be open, not one per message', { skip }, () =>
  withSink([], async (port) => {
    const opened = new Set<string>();
    const messages = Array.from({ length: 200 }, (_, i) => `Subject: ${i}\n\nbody\n`);
    const watched = createServer({ noDelay: true }, (client) => {
      opened.add(`${client.remoteAddress} ${client.remotePort}`);
      const sink = connect({ port, host: '127.0.0.1', noDelay: true });
      client.pipe(sink).pipe(client);
      for (const socket of [client, sink]) socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => watched.listen(0, '127.0.0.1', resolve));
    try {
      await deliverAll((watched.address() as AddressInfo).port, messages, 3);
      assert.equal(opened.size, 3);
    } finally {
      await new Promise((resolve) => watched.close(resolve));
    }
  }),
);
